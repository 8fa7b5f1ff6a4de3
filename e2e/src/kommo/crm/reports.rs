//! What is added up over all leads and tasks: the sales report, the dashboard, answers to questions.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Crm, now_seconds, seeded};

const DAY_SECONDS: u64 = 86_400;

/// The days of a report, in Unix seconds; an open end is not a bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct Period {
    /// The first second.
    pub(in super::super) from: Option<u64>,
    /// The first second after the last day.
    pub(in super::super) until: Option<u64>,
}

impl Period {
    /// The period of two days `YYYY-MM-DD`, both included. Days before 1970 are taken as 1970-01-01.
    pub(in super::super) fn of_days(from: Option<&str>, to: Option<&str>) -> Self {
        Self { from: from.map(day_start), until: to.map(|day| day_start(day).saturating_add(DAY_SECONDS)) }
    }

    fn holds(self, at: u64) -> bool {
        self.from.is_none_or(|from| at >= from) && self.until.is_none_or(|until| at < until)
    }
}

impl Crm {
    /// The leads created in a period, by outcome, pipeline and responsible user.
    pub(in super::super) fn sales_report(&self, period: Period) -> Value {
        let leads = || self.leads.iter().filter(|lead| period.holds(number(lead, "created_at")));
        json!({
            "total": Sum::of(leads()),
            "won": Sum::of(leads().filter(|lead| outcome(lead) == "won")),
            "lost": Sum::of(leads().filter(|lead| outcome(lead) == "lost")),
            "open": Sum::of(leads().filter(|lead| outcome(lead) == "open")),
            "by_pipeline": count_by(leads(), "pipeline_id"),
            "by_user": count_by(leads(), "responsible_user_id"),
        })
    }

    pub(in super::super) fn dashboard(&self) -> Value {
        let now = now_seconds();
        let open_tasks = || self.tasks.iter().filter(|task| task.get("is_completed") == Some(&json!(false)));
        let overdue = open_tasks().filter(|task| number(task, "complete_till") < now).count();
        json!({
            "leads": {
                "total": self.leads.iter().count(),
                "open": self.leads.iter().filter(|lead| outcome(lead) == "open").count(),
                "won": self.leads.iter().filter(|lead| outcome(lead) == "won").count(),
                "lost": self.leads.iter().filter(|lead| outcome(lead) == "lost").count(),
                "by_status": count_by(self.leads.iter(), "status_id"),
            },
            "tasks": {"open": open_tasks().count(), "overdue": overdue},
            "pipelines": self.pipelines.iter().count(),
        })
    }

    /// Answers by the first keyword that the question holds.
    pub(in super::super) fn ask(&self, question: &str) -> Value {
        let asked = question.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| asked.contains(word));
        let (topic, data) = if has(&["contact", "contato"]) {
            ("contacts", json!({"contacts": self.contacts.iter().count()}))
        } else if has(&["task", "tarefa"]) {
            ("tasks", self.dashboard()["tasks"].clone())
        } else if has(&["pipeline", "funil", "stage"]) {
            ("pipelines", self.dashboard()["leads"]["by_status"].clone())
        } else {
            ("leads", self.dashboard()["leads"].clone())
        };
        json!({"question": question, "topic": topic, "answer": data})
    }
}

#[derive(serde::Serialize)]
struct Sum {
    count: usize,
    price: f64,
}

impl Sum {
    fn of<'a>(leads: impl Iterator<Item = &'a Map<String, Value>>) -> Self {
        let add = |sum: Self, lead: &Map<String, Value>| Self {
            count: sum.count + 1,
            price: sum.price + lead.get("price").and_then(Value::as_f64).unwrap_or_default(),
        };
        leads.fold(Self { count: 0, price: 0.0 }, add)
    }
}

fn outcome(lead: &Map<String, Value>) -> &'static str {
    match number(lead, "status_id") {
        seeded::WON => "won",
        seeded::LOST => "lost",
        _ => "open",
    }
}

fn count_by<'a>(items: impl Iterator<Item = &'a Map<String, Value>>, key: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(number(item, key).to_string()).or_default() += 1;
    }
    counts
}

fn number(item: &Map<String, Value>, key: &str) -> u64 {
    item.get(key).and_then(Value::as_u64).unwrap_or_default()
}

/// The first second of a day `YYYY-MM-DD`, in Unix seconds, by counting the days of years and months.
fn day_start(day: &str) -> u64 {
    const MONTH_DAYS: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut parts = day.split('-').map(|part| part.parse::<u64>().unwrap_or_default());
    let mut next = || parts.next().unwrap_or_default();
    let (year, month, day) = (next(), next(), next());
    let year_days: u64 = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
    let month_days: u64 = (1..month.min(13))
        .zip(MONTH_DAYS)
        .map(|(number, days)| if number == 2 && is_leap(year) { 29 } else { days })
        .sum();
    (year_days + month_days + day.saturating_sub(1)) * DAY_SECONDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_start_where_the_calendar_says() {
        let cases = [
            ("1970-01-01", 0),
            ("2000-03-01", 951_868_800),
            ("2024-12-31", 1_735_603_200),
            ("2026-07-28", 1_785_196_800),
            ("0001-01-01", 0),
        ];
        for (day, seconds) in cases {
            assert_eq!(day_start(day), seconds, "{day}");
        }
    }

    #[test]
    fn a_report_holds_both_its_days_and_no_other() {
        let crm = Crm::seeded();
        let count = |from, to| crm.sales_report(Period::of_days(from, to))["total"]["count"].clone();
        assert_eq!(count(None, None), seeded::LEADS);
        assert_eq!(count(Some("2026-07-28"), Some("2026-07-29")), 2);
        assert_eq!(count(None, Some("2026-07-27")), 0);
    }

    #[test]
    fn the_dashboard_adds_up() {
        let dashboard = Crm::seeded().dashboard();
        let leads = &dashboard["leads"];
        assert_eq!(
            (&leads["total"], &leads["open"], &leads["won"], &leads["lost"]),
            (&json!(12), &json!(9), &json!(3), &json!(0))
        );
        assert_eq!(dashboard["tasks"]["open"], 3);
    }
}
