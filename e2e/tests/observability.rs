//! What operators look at says what they may rely on: every query of the dashboards and alerts is of metrics that the
//! contract names, the dashboards keep the rules of Grafana's own linter, and the alerts fire when they should.

#[path = "observability/chart.rs"]
mod chart;
#[path = "observability/contract.rs"]
mod contract;
#[path = "observability/dashboards.rs"]
mod dashboards;
#[path = "observability/files.rs"]
mod files;
#[path = "observability/live.rs"]
mod live;
#[path = "observability/programs.rs"]
mod programs;
#[path = "observability/promtool.rs"]
mod promtool;
#[path = "observability/query.rs"]
mod query;
#[path = "observability/rules.rs"]
mod rules;
#[path = "observability/scraper.rs"]
mod scraper;
#[path = "observability/variables.rs"]
mod variables;
