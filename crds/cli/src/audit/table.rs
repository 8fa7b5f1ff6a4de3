//! Lines for people.

use std::fmt::Write as _;

use serde_json::Value;

use super::lines::text;

/// The columns, each at least this wide; what is longer moves the rest of its row.
const COLUMNS: [(&str, usize); 6] =
    [("TIME", 27), ("REQUEST", 8), ("GRANT", 16), ("VERDICT", 15), ("NAME", 24), ("RULE", 0)];
/// How much of a request's id is shown; `--request` wants all of it, which `-o json` shows.
const ID_CHARACTERS: usize = 8;

/// Rows, as they come.
#[derive(Debug, Default)]
pub(super) struct Table {
    begun: bool,
}

impl Table {
    /// The next row, the first with the names of the columns above it.
    pub(super) fn row(&mut self, line: &Value) -> String {
        let mut rows = String::new();
        if !std::mem::replace(&mut self.begun, true) {
            rows += &padded(&COLUMNS.map(|(name, _)| name.to_owned()));
        }
        if line["event"] == "omitted" {
            let (lines, because) = (text(line, "lines"), text(line, "because"));
            return rows + &format!("{}  ... {lines} lines are missing ({because})\n", text(line, "time"));
        }
        let (verdict, rule) = match line["event"].as_str() {
            Some("rejected") => (text(line, "reason"), text(line, "detail")),
            Some("watched") => (format!("(would be {})", text(line, "verdict")), rule_of(line)),
            _ => (text(line, "verdict"), rule_of(line)),
        };
        let id: String = text(line, "requestId").chars().take(ID_CHARACTERS).collect();
        rows + &padded(&[text(line, "time"), id, text(line, "grant"), verdict, text(line, "name"), rule])
    }
}

fn rule_of(line: &Value) -> String {
    let rule = text(line, "rule");
    if rule.is_empty() { text(line, "policy") } else { rule }
}

/// Counts, the greatest first.
pub(super) fn counts(by: &[String], groups: &[(Vec<String>, u64)]) -> String {
    let names = by.iter().map(|member| member.to_uppercase());
    let rows: Vec<Vec<String>> = std::iter::once(std::iter::once("COUNT".to_owned()).chain(names).collect())
        .chain(groups.iter().map(|(key, count)| {
            let key = key.iter().map(|value| if value.is_empty() { "-".to_owned() } else { value.clone() });
            std::iter::once(count.to_string()).chain(key).collect()
        }))
        .collect();
    let widths: Vec<usize> = (0..=by.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    rows.iter().map(|row| line_of(row.iter().map(String::as_str).zip(widths.iter().copied()))).collect()
}

fn padded(cells: &[String; 6]) -> String {
    let shown = |cell: &String| if cell.is_empty() { "-".to_owned() } else { cell.clone() };
    let cells: Vec<String> = cells.iter().map(shown).collect();
    line_of(cells.iter().map(String::as_str).zip(COLUMNS.map(|(_, width)| width)))
}

// Names may be made up by callers: none of them turns a terminal around.
fn line_of<'a>(cells: impl Iterator<Item = (&'a str, usize)>) -> String {
    let mut line = String::new();
    for (cell, width) in cells {
        let plain = |character: char| character.is_ascii() && !character.is_ascii_control();
        let mut shown = String::new();
        for character in cell.chars() {
            if plain(character) || character.is_alphanumeric() || character == '\u{2026}' {
                shown.push(character);
            } else {
                let _ = write!(shown, "{}", character.escape_default());
            }
        }
        let _ = write!(line, "{shown:width$}  ");
    }
    line.truncate(line.trim_end().len());
    line + "\n"
}
