//! What a query asks for: it parses, names metrics and labels of the contract, and uses counters by their growth only.

use std::collections::BTreeSet;

use promql_parser::label::{Labels as Named, MatchOp};
use promql_parser::parser::{self, AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorSelector};

use crate::contract::{Contract, Kind};

/// Functions of a range that make a counter's growth of it.
const GROWTH: [&str; 2] = ["rate", "increase"];

/// The labels of what an expression gives; `None` of a number or a text.
type Labels = Option<BTreeSet<String>>;

/// One selector of a query.
#[derive(Debug)]
pub(crate) struct Selector {
    /// The metric.
    pub(crate) metric: String,
    /// Label, operator and value of each matcher.
    pub(crate) matchers: Vec<(String, &'static str, String)>,
}

/// A query that keeps the rules.
#[derive(Debug)]
pub(crate) struct Query {
    /// The labels of its result.
    pub(crate) labels: BTreeSet<String>,
    /// Everything that it selects.
    pub(crate) selectors: Vec<Selector>,
}

/// Reads a query, or says what is wrong with it.
pub(crate) fn read(text: &str, contract: &Contract) -> Result<Query, String> {
    let expression = parser::parse(text)?;
    let mut reading = Reading { contract, selectors: Vec::new() };
    let labels = reading.labels(&expression)?.ok_or("it gives no series")?;
    Ok(Query { labels, selectors: reading.selectors })
}

struct Reading<'c> {
    contract: &'c Contract,
    selectors: Vec<Selector>,
}

impl Reading<'_> {
    fn labels(&mut self, expression: &Expr) -> Result<Labels, String> {
        match expression {
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Ok(None),
            Expr::Paren(inner) => self.labels(&inner.expr),
            Expr::Unary(inner) => self.labels(&inner.expr),
            Expr::VectorSelector(selector) => match self.select(selector)? {
                (Kind::Gauge, labels) => Ok(Some(labels)),
                (Kind::Counter, _) => {
                    Err(format!("the counter {} is not under rate or increase", name(selector)))
                }
            },
            Expr::MatrixSelector(range) => {
                Err(format!("the range of {} is not under rate or increase", name(&range.vs)))
            }
            Expr::Call(call) => self.call(call),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate),
            Expr::Binary(binary) => self.binary(binary),
            Expr::Subquery(_) | Expr::Extension(_) => Err("subqueries are not read here".to_owned()),
        }
    }

    fn select(&mut self, selector: &VectorSelector) -> Result<(Kind, BTreeSet<String>), String> {
        let metric = name(selector);
        let found = self.contract.find(&metric);
        let (kind, labels) = found.ok_or_else(|| format!("there is no metric {metric}"))?;
        let mut matchers = Vec::new();
        for matcher in &selector.matchers.matchers {
            if !labels.contains(&matcher.name) {
                return Err(format!("{metric} has no label {}", matcher.name));
            }
            let operator = match matcher.op {
                MatchOp::Equal => "=",
                MatchOp::NotEqual => "!=",
                MatchOp::Re(_) => "=~",
                MatchOp::NotRe(_) => "!~",
            };
            matchers.push((matcher.name.clone(), operator, matcher.value.clone()));
        }
        self.selectors.push(Selector { metric, matchers });
        Ok((kind, labels.clone()))
    }

    fn call(&mut self, call: &Call) -> Result<Labels, String> {
        let function = call.func.name;
        let arguments = &call.args.args;
        if GROWTH.contains(&function) {
            let [argument] = arguments.as_slice() else { return Err(format!("{function} takes one range")) };
            let Expr::MatrixSelector(range) = &**argument else {
                return Err(format!("{function} of no range"));
            };
            return match self.select(&range.vs)? {
                (Kind::Counter, labels) => Ok(Some(labels)),
                (Kind::Gauge, _) => Err(format!("{function} of the gauge {}", name(&range.vs))),
            };
        }
        let mut inner: Labels = None;
        for argument in arguments {
            inner = self.labels(argument)?.or(inner);
        }
        match function {
            "time" => Ok(None),
            "absent" | "vector" => Ok(Some(BTreeSet::new())),
            "histogram_quantile" => {
                let mut labels = inner.ok_or("histogram_quantile of no series")?;
                if labels.remove("le") {
                    Ok(Some(labels))
                } else {
                    Err("histogram_quantile without le".to_owned())
                }
            }
            other => Err(format!("the function {other} is not read here")),
        }
    }

    fn aggregate(&mut self, aggregate: &AggregateExpr) -> Result<Labels, String> {
        let inner = self.labels(&aggregate.expr)?.ok_or("an aggregation of no series")?;
        let is_choice = matches!(aggregate.op.to_string().as_str(), "topk" | "bottomk");
        match &aggregate.modifier {
            None if is_choice => Ok(Some(inner)),
            None => Ok(Some(BTreeSet::new())),
            Some(LabelModifier::Include(kept)) => Ok(Some(known(kept, &inner)?)),
            Some(LabelModifier::Exclude(dropped)) => {
                let dropped = known(dropped, &inner)?;
                Ok(Some(inner.difference(&dropped).cloned().collect()))
            }
        }
    }

    fn binary(&mut self, binary: &BinaryExpr) -> Result<Labels, String> {
        if let Some(young) = young(binary) {
            return Ok(Some(self.select(young)?.1));
        }
        let (left, right) = (self.labels(&binary.lhs)?, self.labels(&binary.rhs)?);
        let (left, right) = match (left, right) {
            (Some(left), Some(right)) => (left, right),
            (left, right) => return Ok(left.or(right)),
        };
        if let Some(matching) = binary.modifier.as_ref().and_then(|modifier| modifier.matching.as_ref()) {
            known(matching.labels(), &left)?;
            known(matching.labels(), &right)?;
            return Ok(Some(left));
        }
        if binary.op.to_string() == "or" {
            return Ok(Some(left.intersection(&right).cloned().collect()));
        }
        if left != right {
            return Err(format!("{left:?} and {right:?} never match"));
        }
        Ok(Some(left))
    }
}

fn name(selector: &VectorSelector) -> String {
    selector.name.clone().unwrap_or_default()
}

// `counter unless counter offset 5m`: what began since then, whose value is its growth.
fn young(binary: &BinaryExpr) -> Option<&VectorSelector> {
    let (Expr::VectorSelector(now), Expr::VectorSelector(then)) = (&*binary.lhs, &*binary.rhs) else {
        return None;
    };
    let is_same = now.name == then.name && now.matchers == then.matchers;
    let is_young = now.offset.is_none() && then.offset.is_some() && binary.op.to_string() == "unless";
    (is_same && is_young && binary.modifier.as_ref().is_none_or(|modifier| modifier.matching.is_none()))
        .then_some(now)
}

fn known(named: &Named, labels: &BTreeSet<String>) -> Result<BTreeSet<String>, String> {
    let named: BTreeSet<String> = named.labels.iter().cloned().collect();
    match named.iter().find(|label| !labels.contains(*label)) {
        Some(label) => Err(format!("there is no label {label} to group by")),
        None => Ok(named),
    }
}

#[test]
fn what_is_wrong_with_a_query_is_found() {
    let contract = Contract::of_the_page();
    let calls = "toolgate_tool_calls_total";
    for (text, fault) in [
        ("sum(", "unclosed left parenthesis"),
        ("sum(rate(toolgate_tool_call_total[5m]))", "there is no metric toolgate_tool_call_total"),
        (
            "sum(toolgate_tool_calls_total)",
            "the counter toolgate_tool_calls_total is not under rate or increase",
        ),
        ("sum(rate(toolgate_config_refused[5m]))", "rate of the gauge toolgate_config_refused"),
        (
            "sum(rate(toolgate_tool_calls_total{reason=\"x\"}[5m]))",
            "toolgate_tool_calls_total has no label reason",
        ),
        ("sum by (reason) (rate(toolgate_tool_calls_total[5m]))", "there is no label reason to group by"),
        ("histogram_quantile(0.5, sum(rate(toolgate_upstream_duration_seconds_bucket[5m])))", "without le"),
        ("toolgate_upstream_duration_seconds", "there is no metric toolgate_upstream_duration_seconds"),
        ("sum by (server) (toolgate_config_refused) / sum(toolgate_config_refused)", "never match"),
        ("toolgate_config_refused and on (tool) toolgate_config_revision", "there is no label tool"),
        ("max_over_time(toolgate_config_refused[5m])", "the range of toolgate_config_refused"),
        ("toolgate_tool_calls_total unless toolgate_tool_calls_total", "is not under rate or increase"),
        ("1", "it gives no series"),
    ] {
        let found = read(text, &contract).expect_err(text);
        assert!(found.contains(fault), "{text}: {found}");
    }
    let query = read(&format!("sum by (tool) (rate({calls}{{verdict!=\"allowed\"}}[5m]))"), &contract)
        .expect("is sound");
    assert_eq!(query.labels, BTreeSet::from(["tool".to_owned()]));
    assert_eq!(query.selectors[0].matchers, [("verdict".to_owned(), "!=", "allowed".to_owned())]);
}
