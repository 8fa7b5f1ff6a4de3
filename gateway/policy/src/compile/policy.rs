//! A compiled policy: exact names in a table, globs beside it, counters put together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use toolgate_crds::strict::member;
use toolgate_crds::{
    Action, Cost, DefaultAction, FieldError, Limit, Mode, Rule, Scope, ServerRequest, ToolEntry,
    ToolPolicySpec,
};

use super::table::{Entry, Table};
use crate::condition::Item;
use crate::cost::{Charging, Weight};
use crate::decimal::MILLION;
use crate::definition::Definition;
use crate::path::Path;
use crate::pattern::Pattern;
use crate::store::Bound;
use crate::target::Target;

#[derive(Debug)]
pub(crate) struct CompiledPolicy {
    pub name: Arc<str>,
    mode: Mode,
    pub default: DefaultAction,
    pub hide: Vec<Pattern>,
    // Where in `hide`.
    hidden: Table<usize>,
    pub counters: Vec<Counter>,
    pub all_tools: Narrowing,
    /// Requests of the server that callers may be asked.
    pub server_requests: Vec<ServerRequest>,
    grants: Option<Vec<String>>,
    tools: Table<Entry>,
    resources: Table<Entry>,
    prompts: Table<Entry>,
}

/// What narrows a target that is listed.
#[derive(Debug, Default)]
pub(crate) struct Narrowing {
    pub require: Vec<Item>,
    pub deny_if: Vec<Item>,
    pub limits: Vec<Charging>,
}

impl Narrowing {
    fn has(&self, field: &str, which: &str, counters: &[Counter]) -> bool {
        let within = |items: &[Item]| which.parse::<usize>().is_ok_and(|index| index < items.len());
        match field {
            "require" => within(&self.require),
            "denyIf" => within(&self.deny_if),
            "limits" => self.limits.iter().any(|limit| &*counters[limit.counter].name == which),
            _ => false,
        }
    }
}

/// A counter of a policy, with all windows that any entry gives it.
#[derive(Debug)]
pub(crate) struct Counter {
    pub name: Arc<str>,
    pub scope: Scope,
    pub bounds: Arc<[Bound]>,
    /// The windows and maxima as they were written, one for each bound.
    pub written: Vec<(String, u64)>,
}

impl CompiledPolicy {
    pub(super) fn new(name: &str, spec: &ToolPolicySpec) -> Result<Self, Vec<FieldError>> {
        let mut compiler = Compiler::default();
        let tools = compiler.table(Target::Tool, &spec.tools);
        let resources = compiler.table(Target::Resource, &spec.resources);
        let prompts = compiler.table(Target::Prompt, &spec.prompts);
        let all_tools = spec.all_tools.as_ref();
        let all_tools =
            all_tools.map(|all| compiler.narrowing("spec.allTools", &all.require, &all.deny_if, &all.limits));
        let hide = spec.hide.iter().enumerate();
        let hide: Vec<Pattern> =
            hide.filter_map(|(index, text)| compiler.pattern(&format!("spec.hide[{index}]"), text)).collect();
        let mut hidden = Table::default();
        hide.iter().enumerate().for_each(|(index, pattern)| hidden.add(pattern.clone(), index));
        if !compiler.errors.is_empty() {
            return Err(compiler.errors);
        }
        let grants =
            spec.grants.as_ref().map(|names| names.iter().map(|name| name.as_str().to_owned()).collect());
        Ok(Self {
            name: name.into(),
            mode: spec.mode,
            default: spec.default,
            hide,
            hidden,
            counters: compiler.counters.into_iter().map(CounterDraft::finish).collect(),
            all_tools: all_tools.unwrap_or_default(),
            server_requests: spec.server_requests.clone(),
            grants,
            tools,
            resources,
            prompts,
        })
    }

    /// Whether it decides or only watches.
    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether it only watches.
    pub(crate) fn only_audits(&self) -> bool {
        self.mode == Mode::Audit
    }

    /// Whether it binds the callers of a grant.
    pub(super) fn binds(&self, grant: &str) -> bool {
        self.grants.as_ref().is_none_or(|grants| grants.iter().any(|name| name == grant))
    }

    /// The entries of one kind.
    pub(crate) fn table(&self, target: Target) -> &Table<Entry> {
        match target {
            Target::Tool => &self.tools,
            Target::Resource => &self.resources,
            Target::Prompt => &self.prompts,
        }
    }

    /// The pattern that hides a tool, the first of several.
    pub(crate) fn hides(&self, tool: &str) -> Option<&Pattern> {
        self.hidden.of(tool).min().and_then(|index| self.hide.get(*index))
    }

    /// Whether it has a rule of this pointer, such as `tools/move_lead/limits/move_lead_rate`.
    pub(crate) fn has_rule(&self, pointer: &str) -> bool {
        if let Some(pattern) = pointer.strip_prefix("hide/") {
            return self.hide.iter().any(|hidden| hidden.as_str() == pattern);
        }
        // Names of resources have slashes; what stands behind them has none.
        let mut parts = pointer.rsplitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("default"), None, None) => true,
            (Some(field @ ("action" | "definitions")), Some(..), Some(..)) => {
                let place = pointer.rsplit_once('/').map(|(place, _)| place);
                place.and_then(|place| self.entry_at(place)).is_some_and(|entry| match field {
                    "action" => entry.action != Action::Allow,
                    _ => entry.definitions.is_some(),
                })
            }
            (Some(which), Some(field), Some("allTools")) => self.all_tools.has(field, which, &self.counters),
            (Some(which), Some(field), Some(place)) => {
                self.entry_at(place).is_some_and(|entry| entry.narrowing.has(field, which, &self.counters))
            }
            _ => false,
        }
    }

    // Of a place such as `tools/move_lead`.
    fn entry_at(&self, place: &str) -> Option<&Entry> {
        let kinds = [Target::Tool, Target::Resource, Target::Prompt];
        let (member, key) = place.split_once('/')?;
        let target = kinds.into_iter().find(|target| target.member() == member)?;
        self.table(target).written(key)
    }

    /// The tools of which it agrees to some definitions only.
    pub(crate) fn pinned(&self) -> impl Iterator<Item = &str> {
        self.tools.exact_names().filter(|tool| self.pins(tool))
    }

    /// Whether it agrees to some definitions of a tool only.
    pub(crate) fn pins(&self, tool: &str) -> bool {
        self.tools.of_exactly(tool).is_some_and(|entry| entry.definitions.is_some())
    }

    /// The tools it names exactly.
    pub(crate) fn exact_names(&self) -> impl Iterator<Item = &str> {
        self.named(Target::Tool)
    }

    /// What it names exactly of one kind.
    pub(crate) fn named(&self, target: Target) -> impl Iterator<Item = &str> {
        let hide = self.hide.iter().filter(move |pattern| target == Target::Tool && !pattern.is_glob());
        self.table(target).exact_names().chain(hide.map(Pattern::as_str))
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
    windows: BTreeMap<Duration, (String, u64)>,
}

impl CounterDraft {
    fn finish(self) -> Counter {
        let bounds = self.windows.iter();
        Counter {
            name: self.name.into(),
            scope: self.scope,
            bounds: bounds
                .map(|(length, (_, max))| Bound { length: *length, max: u128::from(*max) * MILLION })
                .collect(),
            written: self.windows.into_values().collect(),
        }
    }
}

impl Compiler {
    fn error(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.errors.push(FieldError::new(path, message));
    }

    fn table(&mut self, target: Target, entries: &BTreeMap<String, ToolEntry>) -> Table<Entry> {
        let mut table = Table::default();
        for (key, entry) in entries {
            let path = member(&format!("spec.{}", target.member()), key);
            let pattern = match target {
                Target::Tool | Target::Prompt => Pattern::parse(key),
                Target::Resource => Pattern::parse_uri(key),
            };
            match pattern {
                Ok(pattern) => {
                    let entry = self.entry(&path, target, &pattern, entry);
                    table.add(pattern, entry);
                }
                Err(fault) => self.error(path, fault.to_string()),
            }
        }
        table
    }

    fn pattern(&mut self, path: &str, text: &str) -> Option<Pattern> {
        Pattern::parse(text).map_err(|fault| self.error(path, fault.to_string())).ok()
    }

    fn entry(&mut self, path: &str, target: Target, pattern: &Pattern, entry: &ToolEntry) -> Entry {
        if entry.approval.is_some() && entry.action != Some(Action::Approve) {
            self.error(format!("{path}.approval"), "belongs to action: approve");
        }
        let lists = !pattern.is_glob() || matches!(entry.action, Some(Action::Allow | Action::Approve));
        Entry {
            key: pattern.as_str().to_owned(),
            lists,
            action: entry.action.unwrap_or(Action::Allow),
            reason: entry.reason.clone(),
            definitions: entry
                .definitions
                .as_ref()
                .map(|agreed| self.definitions(&format!("{path}.definitions"), target, pattern, agreed)),
            narrowing: self.narrowing(path, &entry.require, &entry.deny_if, &entry.limits),
        }
    }

    fn definitions(
        &mut self,
        path: &str,
        target: Target,
        pattern: &Pattern,
        agreed: &[String],
    ) -> Vec<Definition> {
        if target != Target::Tool || pattern.is_glob() {
            self.error(path, "belongs to a tool by its exact name");
        }
        let mut definitions = Vec::new();
        for (index, text) in agreed.iter().enumerate() {
            match Definition::parse(text) {
                Some(definition) if !definitions.contains(&definition) => definitions.push(definition),
                Some(_) => self.error(format!("{path}[{index}]"), "is there already"),
                None => {
                    self.error(format!("{path}[{index}]"), "must be 64 lower-case hexadecimal digits");
                }
            }
        }
        definitions
    }

    fn narrowing(&mut self, path: &str, require: &[Rule], deny_if: &[Rule], limits: &[Limit]) -> Narrowing {
        Narrowing {
            require: self.items(&format!("{path}.require"), require),
            deny_if: self.items(&format!("{path}.denyIf"), deny_if),
            limits: self.limits(path, limits),
        }
    }

    fn items(&mut self, path: &str, rules: &[Rule]) -> Vec<Item> {
        let rules = rules.iter().enumerate();
        rules
            .filter_map(|(index, rule)| Item::new(&format!("{path}[{index}]"), rule, &mut self.errors))
            .collect()
    }

    fn limits(&mut self, path: &str, limits: &[Limit]) -> Vec<Charging> {
        let mut charging = Vec::new();
        for (index, limit) in limits.iter().enumerate() {
            let path = format!("{path}.limits[{index}]");
            let counter = self.counter(&path, limit);
            charging.extend(self.cost(&path, limit).map(|cost| Charging { counter, cost }));
        }
        charging
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
        let written = u64::try_from(limit.max).unwrap_or_default();
        let window = (limit.window.as_str().to_owned(), written);
        let (_, max) = draft.windows.entry(limit.window.length()).or_insert(window);
        if *max != written {
            let message =
                format!("counter {} has max {max} for this window elsewhere in this policy", limit.counter);
            faults.push(("max", message));
        }
        for (field, message) in faults {
            self.error(format!("{path}.{field}"), message);
        }
        index
    }

    fn cost(&mut self, path: &str, limit: &Limit) -> Option<Weight> {
        let (field, text, build): (_, _, fn(Path) -> Weight) = match &limit.cost {
            None => return Some(Weight::Fixed(MILLION)),
            Some(Cost::Fixed(cost)) => return self.fixed_cost(&format!("{path}.cost"), *cost, limit.max),
            Some(Cost::Sum(of)) => ("sum", &of.sum, Weight::Sum),
            Some(Cost::Length(of)) => ("length", &of.length, Weight::Length),
        };
        match Path::parse(text) {
            Ok(path) if field == "sum" || !path.is_many() => Some(build(path)),
            Ok(_) => {
                self.error(format!("{path}.cost.length"), "must name one array, without [*]");
                None
            }
            Err(fault) => {
                self.error(format!("{path}.cost.{field}"), fault.to_string());
                None
            }
        }
    }

    fn fixed_cost(&mut self, path: &str, cost: i64, max: i64) -> Option<Weight> {
        if cost > max {
            self.error(path, format!("{cost} is above max {max}: no call would ever be admitted"));
            return None;
        }
        let Ok(cost) = u128::try_from(cost) else {
            self.error(path, "must not be negative");
            return None;
        };
        Some(Weight::Fixed(cost * MILLION))
    }
}
