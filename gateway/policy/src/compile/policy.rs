//! A compiled policy: exact names in a table, globs beside it, counters put together.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use toolgate_crds::strict::member;
use toolgate_crds::{Action, Cost, DefaultAction, FieldError, Limit, Mode, Scope, ToolEntry, ToolPolicySpec};

use crate::pattern::Pattern;
use crate::window::Bound;

#[derive(Debug)]
pub(crate) struct CompiledPolicy {
    pub name: Arc<str>,
    pub default: DefaultAction,
    pub hide: Vec<Pattern>,
    pub counters: Vec<Counter>,
    pub all_tools: Vec<Charging>,
    grants: Option<Vec<String>>,
    exact: HashMap<String, Entry>,
    globs: Vec<(Pattern, Entry)>,
}

/// The rules of one name or glob.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The name or glob, as it was written.
    pub key: String,
    /// Whether it lists its tools, or only narrows what others list.
    pub lists: bool,
    pub action: Action,
    pub reason: Option<String>,
    pub limits: Vec<Charging>,
}

/// A counter of a policy, with all windows that any entry gives it.
#[derive(Debug)]
pub(crate) struct Counter {
    pub name: Arc<str>,
    pub scope: Scope,
    pub bounds: Arc<[Bound]>,
    /// The windows as they were written, one for each bound.
    pub windows: Vec<String>,
}

/// What a call costs of one counter (its index).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Charging {
    pub counter: usize,
    pub cost: u64,
}

impl CompiledPolicy {
    pub(super) fn new(name: &str, spec: &ToolPolicySpec) -> Result<Self, Vec<FieldError>> {
        let mut compiler = Compiler::default();
        compiler.refuse_unsupported(spec);
        let mut exact = HashMap::new();
        let mut globs = Vec::new();
        for (key, entry) in &spec.tools {
            let path = member("spec.tools", key);
            let Some(pattern) = compiler.pattern(&path, key) else { continue };
            let entry = compiler.entry(&path, &pattern, entry);
            if pattern.is_glob() {
                globs.push((pattern, entry));
            } else {
                exact.insert(key.clone(), entry);
            }
        }
        let all_tools = spec
            .all_tools
            .as_ref()
            .map(|all| compiler.limits("spec.allTools", &all.limits))
            .unwrap_or_default();
        let hide = spec.hide.iter().enumerate();
        let hide =
            hide.filter_map(|(index, text)| compiler.pattern(&format!("spec.hide[{index}]"), text)).collect();
        if !compiler.errors.is_empty() {
            return Err(compiler.errors);
        }
        let grants =
            spec.grants.as_ref().map(|names| names.iter().map(|name| name.as_str().to_owned()).collect());
        let counters = compiler.counters.into_iter().map(CounterDraft::finish).collect();
        Ok(Self { name: name.into(), default: spec.default, hide, counters, all_tools, grants, exact, globs })
    }

    /// Whether it binds the callers of a grant.
    pub(super) fn binds(&self, grant: &str) -> bool {
        self.grants.as_ref().is_none_or(|grants| grants.iter().any(|name| name == grant))
    }

    /// Every entry that covers a tool: its own, then globs in the order of their text.
    pub(crate) fn entries<'a>(&'a self, tool: &'a str) -> impl Iterator<Item = &'a Entry> {
        let globs =
            self.globs.iter().filter(move |(pattern, _)| pattern.matches(tool)).map(|(_, entry)| entry);
        self.exact.get(tool).into_iter().chain(globs)
    }

    /// The tools it names exactly.
    pub(crate) fn exact_names(&self) -> impl Iterator<Item = &str> {
        let hidden = self.hide.iter().filter(|pattern| !pattern.is_glob()).map(Pattern::as_str);
        self.exact.keys().map(String::as_str).chain(hidden)
    }
}

#[derive(Default)]
struct Compiler {
    errors: Vec<FieldError>,
    counters: Vec<CounterDraft>,
}

struct CounterDraft {
    name: String,
    scope: Scope,
    windows: BTreeMap<std::time::Duration, (String, i64)>,
}

impl CounterDraft {
    fn finish(self) -> Counter {
        let bound = |(length, (_, max)): (&std::time::Duration, &(String, i64))| Bound {
            length: *length,
            max: u64::try_from(*max).unwrap_or_default(),
        };
        Counter {
            name: self.name.into(),
            scope: self.scope,
            bounds: self.windows.iter().map(bound).collect(),
            windows: self.windows.into_values().map(|(text, _)| text).collect(),
        }
    }
}

impl Compiler {
    fn error(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.errors.push(FieldError::new(path, message));
    }

    // What the language has and this version cannot decide yet is refused, never passed over.
    fn refuse_unsupported(&mut self, spec: &ToolPolicySpec) {
        let unsupported = [
            (spec.mode == Mode::Audit, "spec.mode", "audit is not supported yet"),
            (
                !spec.resources.is_empty(),
                "spec.resources",
                "are not supported yet; every resource is refused",
            ),
            (!spec.prompts.is_empty(), "spec.prompts", "are not supported yet; every prompt is refused"),
            (
                !spec.server_requests.is_empty(),
                "spec.serverRequests",
                "are not supported yet; every one is refused",
            ),
        ];
        for (_, path, message) in unsupported.into_iter().filter(|(used, ..)| *used) {
            self.error(path, message);
        }
        if let Some(all) = &spec.all_tools {
            self.refuse_conditions("spec.allTools", !all.require.is_empty(), !all.deny_if.is_empty());
        }
    }

    fn refuse_conditions(&mut self, path: &str, require: bool, deny_if: bool) {
        for (used, field) in [(require, "require"), (deny_if, "denyIf")] {
            if used {
                self.error(format!("{path}.{field}"), "conditions are not supported yet");
            }
        }
    }

    fn pattern(&mut self, path: &str, text: &str) -> Option<Pattern> {
        Pattern::parse(text).map_err(|fault| self.error(path, fault.to_string())).ok()
    }

    fn entry(&mut self, path: &str, pattern: &Pattern, entry: &ToolEntry) -> Entry {
        self.refuse_conditions(path, !entry.require.is_empty(), !entry.deny_if.is_empty());
        if entry.approval.is_some() && entry.action != Some(Action::Approve) {
            self.error(format!("{path}.approval"), "belongs to action: approve");
        }
        let lists = !pattern.is_glob() || matches!(entry.action, Some(Action::Allow | Action::Approve));
        Entry {
            key: pattern.as_str().to_owned(),
            lists,
            action: entry.action.unwrap_or(Action::Allow),
            reason: entry.reason.clone(),
            limits: self.limits(path, &entry.limits),
        }
    }

    fn limits(&mut self, path: &str, limits: &[Limit]) -> Vec<Charging> {
        let limits = limits.iter().enumerate();
        let mut costs: Vec<Charging> = Vec::new();
        for (index, limit) in limits {
            let path = format!("{path}.limits[{index}]");
            let (counter, cost) = (self.counter(&path, limit), self.cost(&path, limit));
            // One counter is charged once, at its largest cost.
            match costs.iter_mut().find(|cost| cost.counter == counter) {
                Some(known) => known.cost = known.cost.max(cost),
                None => costs.push(Charging { counter, cost }),
            }
        }
        costs
    }

    fn counter(&mut self, path: &str, limit: &Limit) -> usize {
        let known = self.counters.iter().position(|counter| counter.name == limit.counter);
        let index = known.unwrap_or(self.counters.len());
        if known.is_none() {
            let (name, scope) = (limit.counter.clone(), limit.scope);
            self.counters.push(CounterDraft { name, scope, windows: BTreeMap::new() });
        }
        let draft = &mut self.counters[index];
        let mut faults = Vec::new();
        if draft.scope != limit.scope {
            faults.push((
                "scope",
                format!("counter {} has another scope elsewhere in this policy", limit.counter),
            ));
        }
        let window = (limit.window.as_str().to_owned(), limit.max);
        let (_, max) = draft.windows.entry(limit.window.length()).or_insert(window);
        if *max != limit.max {
            let message =
                format!("counter {} has max {max} for this window elsewhere in this policy", limit.counter);
            faults.push(("max", message));
        }
        for (field, message) in faults {
            self.error(format!("{path}.{field}"), message);
        }
        index
    }

    fn cost(&mut self, path: &str, limit: &Limit) -> u64 {
        let path = format!("{path}.cost");
        match &limit.cost {
            None => 1,
            Some(Cost::Fixed(cost)) if *cost > limit.max => {
                self.error(
                    path,
                    format!("{cost} is above max {}: no call would ever be admitted", limit.max),
                );
                0
            }
            Some(Cost::Fixed(cost)) => u64::try_from(*cost).unwrap_or_else(|_| {
                self.error(path, "must not be negative");
                0
            }),
            Some(Cost::Sum(_) | Cost::Length(_)) => {
                self.error(path, "a cost from an argument is not supported yet");
                0
            }
        }
    }
}
