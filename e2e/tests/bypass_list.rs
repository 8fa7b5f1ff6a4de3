//! `BYPASSES.md` is true: every number is there once and in order, and every test that it names exists where it says.

use std::fs;
use std::path::Path;

/// A row of one of the page's tables.
struct Row {
    number: usize,
    becomes: String,
    /// The file and the name of each test.
    shown_by: Vec<(String, String)>,
}

fn rows(page: &str) -> Vec<Row> {
    page.lines().filter_map(row).collect()
}

fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.strip_prefix("| ")?.split(" | ").collect();
    let number = cells.first()?.parse().ok()?;
    assert_eq!(cells.len(), 4, "{line}");
    let (becomes, shown_by) = (cells[2], cells[3]);
    let shown_by = shown_by.trim_end_matches('|').split(',').map(str::trim).filter(|test| !test.is_empty());
    let shown_by = shown_by.map(|test| {
        let (file, name) = test.strip_prefix('`').and_then(|rest| rest.split_once("` ")).expect(test);
        (file.to_owned(), name.to_owned())
    });
    Some(Row { number, becomes: becomes.to_owned(), shown_by: shown_by.collect() })
}

#[test]
fn every_way_round_is_listed_and_every_test_that_is_named_exists() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rows = rows(&fs::read_to_string(here.join("BYPASSES.md")).expect("the page"));
    let numbers: Vec<usize> = rows.iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=58).chain(1..=16).collect::<Vec<_>>());
    for row in rows {
        let open = row.becomes.contains("**open**");
        assert_eq!(open, row.shown_by.is_empty(), "{}: it is shown by a test or it is open", row.number);
        for (file, name) in row.shown_by {
            let text = fs::read_to_string(here.join(&file)).expect(&file);
            let declared = text.contains(&format!("fn {name}(")) && text.contains("test]");
            assert!(declared, "{}: {file} has no test {name}", row.number);
        }
    }
}
