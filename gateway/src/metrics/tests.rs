use super::*;

#[test]
fn unknown_names_are_one_label() {
    let metrics = Metrics::new("crm").unwrap();
    let declared = HashSet::from(["move_lead".to_owned()]);
    for index in 0..10_000 {
        let label = metrics.tool_label(&format!("tool_{index}"), &declared).to_owned();
        metrics.decided(&label, "alice", Outcome::Unlisted);
    }
    metrics.decided(metrics.tool_label("move_lead", &declared), "alice", Outcome::Allowed);
    metrics.saw("get_leads");
    metrics.decided(metrics.tool_label("get_leads", &declared), "alice", Outcome::Allowed);
    let text = String::from_utf8(metrics.text(Vec::new()).unwrap()).unwrap();
    let series: Vec<&str> =
        text.lines().filter(|line| line.starts_with("toolgate_tool_calls_total")).collect();
    assert_eq!(
        series,
        [
            r#"toolgate_tool_calls_total{grant="alice",server="crm",tool="_other",verdict="unlisted"} 10000"#,
            r#"toolgate_tool_calls_total{grant="alice",server="crm",tool="get_leads",verdict="allowed"} 1"#,
            r#"toolgate_tool_calls_total{grant="alice",server="crm",tool="move_lead",verdict="allowed"} 1"#,
        ]
    );
}

#[test]
fn as_many_seen_tools_as_are_kept_and_one_more() {
    let metrics = Metrics::new("crm").unwrap();
    for index in 0..=SEEN_TOOLS_MAX {
        metrics.saw(&format!("tool_{index}"));
    }
    assert!(metrics.has_seen(&format!("tool_{}", SEEN_TOOLS_MAX - 1)));
    assert!(!metrics.has_seen(&format!("tool_{SEEN_TOOLS_MAX}")));
}

#[test]
fn what_finds_no_series_is_counted_all_the_same_and_told() {
    let metrics = Metrics::with_series("crm", 2).unwrap();
    metrics.decided("get_leads", "alice", Outcome::Allowed);
    metrics.asked("prompts/get", "alice", Outcome::Allowed);
    for grant in ["bob", "carol"] {
        metrics.decided("get_leads", grant, Outcome::Allowed);
        metrics.asked("prompts/get", grant, Outcome::Denied);
        metrics.audited("floor", "get_leads", grant, Outcome::Held);
    }
    // However often it is looked at.
    let _scrape = metrics.text(Vec::new()).unwrap();
    let text = String::from_utf8(metrics.text(Vec::new()).unwrap()).unwrap();
    let series: Vec<&str> =
        text.lines().filter(|line| line.contains("server=\"crm\"") && line.contains("_total{")).collect();
    assert_eq!(
        series,
        [
            r#"toolgate_audit_verdicts_total{grant="_other",policy="_other",server="crm",tool="_other",verdict="held"} 2"#,
            r#"toolgate_metric_series_folded_total{server="crm"} 6"#,
            r#"toolgate_requests_total{grant="_other",method="prompts/get",server="crm",verdict="denied"} 2"#,
            r#"toolgate_requests_total{grant="alice",method="prompts/get",server="crm",verdict="allowed"} 1"#,
            r#"toolgate_tool_calls_total{grant="_other",server="crm",tool="_other",verdict="allowed"} 2"#,
            r#"toolgate_tool_calls_total{grant="alice",server="crm",tool="get_leads",verdict="allowed"} 1"#,
        ]
    );
}
