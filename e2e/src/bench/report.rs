//! What was measured, as tables for people and as JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::cores::Cores;
use super::edit::Edits;
use super::figure::Figure;
use super::goals::{goals, megabytes, micros, per_second};
use super::instructions::Counted;
use super::plan::{Measured, Plan, Target};
use super::scrape::Scrapes;
use super::shared::Shared;

/// Everything that was measured.
#[derive(Debug)]
pub struct Report {
    pub(super) plan: Plan,
    pub(super) cores: Option<Cores>,
    pub(super) cells: Vec<Measured>,
    pub(super) idle_bytes: u64,
    pub(super) starts: Vec<(String, Figure)>,
    pub(super) edits: Option<Edits>,
    pub(super) shared: Option<Shared>,
    pub(super) scrapes: Option<Scrapes>,
    pub(super) instructions: Vec<Counted>,
    /// Why not all of them were counted.
    pub(super) uncounted: Option<String>,
}

impl Report {
    pub(super) fn new(plan: Plan, cores: Option<Cores>) -> Self {
        let (cells, starts, instructions) = (Vec::new(), Vec::new(), Vec::new());
        let (idle_bytes, edits, shared, scrapes, uncounted) = (0, None, None, None, None);
        Self { plan, cores, cells, idle_bytes, starts, edits, shared, scrapes, instructions, uncounted }
    }

    /// Answers that were not what they must be, and calls that an edit disturbed.
    pub fn errors(&self) -> u64 {
        let of_cells =
            self.cells.iter().flat_map(|measured| &measured.readings).map(|reading| reading.sample.errors);
        of_cells.sum::<u64>()
            + self.edits.as_ref().map_or(0, |edits| edits.failed)
            + self.shared.as_ref().map_or(0, |shared| shared.errors)
            + self.scrapes.as_ref().map_or(0, |scrapes| scrapes.errors)
    }

    /// The first wrong answer, and whose it was.
    pub fn first_error(&self) -> Option<String> {
        let of_shared = self.shared.as_ref().and_then(|shared| shared.first_error.clone());
        let of_cells = self.cells.iter().find_map(|measured| {
            let error = measured.readings.iter().find_map(|reading| reading.sample.first_error.as_ref())?;
            let cell = measured.cell;
            Some(format!("{} of {}: {error}", cell.asked.name(), cell.target.name()))
        });
        of_cells.or(of_shared)
    }

    /// Why instructions could not be counted, if they could not.
    pub fn uncounted(&self) -> Option<&str> {
        self.uncounted.as_deref()
    }

    /// The tables.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let rounds = self.plan.rounds;
        let placed = match self.cores {
            Some(Cores { measured, load }) => {
                format!("measured process on core {measured}, load and upstream on core {load}")
            }
            None => "one core for everything: no figure here is worth anything".to_owned(),
        };
        line(&mut text, &format!("Medians of {rounds} rounds [lowest-highest]; {placed}.\n"));
        self.cell_table(&mut text);
        self.other_tables(&mut text);
        let (mut met, goals) = (0, goals(self));
        table(&mut text, &["goal", "wanted", "reached", ""]);
        for goal in &goals {
            met += usize::from(goal.is_met());
            let missed = if goal.is_met() { "" } else { "missed" };
            row(&mut text, &[&goal.what, &goal.wanted_text(), &goal.reached.text(2), missed]);
        }
        line(&mut text, &format!("\n{met} of {} goals met; {} errors.", goals.len(), self.errors()));
        text
    }

    fn cell_table(&self, text: &mut String) {
        table(
            text,
            &["asked", "c", "of", "CPU us/call", "p50 us", "p99 us", "calls/s", "resident MB", "errors"],
        );
        for measured in &self.cells {
            let cell = measured.cell;
            let figure =
                |figure: Option<Figure>, digits| figure.map_or("-".to_owned(), |figure| figure.text(digits));
            let errors: u64 = measured.readings.iter().map(|reading| reading.sample.errors).sum();
            let resident = match cell.target {
                Target::Direct => None,
                _ => measured.figure(|reading| Some(megabytes(reading.resident_bytes))),
            };
            row(
                text,
                &[
                    cell.asked.name(),
                    &cell.connections.to_string(),
                    &cell.target.name(),
                    &figure(measured.figure(|reading| reading.cpu), 1),
                    &figure(measured.figure(|reading| Some(micros(reading.sample.p50))), 0),
                    &figure(measured.figure(|reading| Some(micros(reading.sample.p99))), 0),
                    &figure(measured.figure(|reading| Some(per_second(reading))), 0),
                    &figure(resident, 1),
                    &errors.to_string(),
                ],
            );
        }
        line(text, "");
    }

    fn other_tables(&self, text: &mut String) {
        table(text, &["from start to first answered call", "ms"]);
        for (name, took) in &self.starts {
            row(text, &[name, &took.text(1)]);
        }
        line(text, "");
        match &self.shared {
            Some(shared) => shared.text(text),
            None => line(text, "NOT MEASURED: counting in a shared store; e2e/redis/fetch gets one.\n"),
        }
        if let Some(scrapes) = &self.scrapes {
            scrapes.text(text);
        }
        if let Some(Edits { made, p50, p99, longest, calls, failed }) = &self.edits {
            let [p50, p99, longest] = [p50, p99, longest].map(|took| micros(*took) / 1e3);
            line(
                text,
                &format!(
                    "{made} edits of a file, obeyed on an open session after {p50:.1} ms (p50), {p99:.1} ms (p99), {longest:.1} ms \
                 (longest); of {calls} calls meanwhile {failed} failed.\n"
                ),
            );
        }
        if !self.instructions.is_empty() {
            table(text, &["asked", "of", "instructions per call, without the system's"]);
            for counted in &self.instructions {
                row(
                    text,
                    &[counted.asked.name(), &counted.target.name(), &format!("{:.0}", counted.instructions)],
                );
            }
            line(text, "");
        }
        if let Some(why) = &self.uncounted {
            line(text, &format!("Not all instructions could be counted: {why}\n"));
        }
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let cells: Vec<Value> = self.cells.iter().map(cell).collect();
        let starts = self.starts.iter().map(|(name, took)| json!({"of": name, "milliseconds": took.json()}));
        let goals = goals(self).into_iter().map(|goal| {
            json!({"what": goal.what, "wanted": goal.wanted_text(), "reached": goal.reached.json(), "met": goal.is_met()})
        });
        let instructions = self.instructions.iter().map(|counted| {
            json!({"asked": counted.asked.name(), "of": counted.target.name(), "instructions": counted.instructions.round()})
        });
        json!({
            "rounds": self.plan.rounds,
            "windowMilliseconds": self.plan.window.as_millis(),
            "cores": self.cores.map(|cores| json!({"measured": cores.measured, "load": cores.load})),
            "errors": self.errors(),
            "idleBytes": self.idle_bytes,
            "cells": cells,
            "starts": starts.collect::<Value>(),
            "edits": self.edits.as_ref().map(edits),
            "scrapes": self.scrapes.as_ref().map(Scrapes::json),
            "shared": self.shared.as_ref().map(Shared::json),
            "instructions": instructions.collect::<Value>(),
            "uncounted": self.uncounted,
            "goals": goals.collect::<Value>(),
        })
    }
}

fn cell(measured: &Measured) -> Value {
    let figure = |figure: Option<Figure>| figure.map(Figure::json);
    let cell = measured.cell;
    let errors: u64 = measured.readings.iter().map(|reading| reading.sample.errors).sum();
    json!({
        "asked": cell.asked.name(),
        "of": cell.target.name(),
        "connections": cell.connections,
        "cpuMicroseconds": figure(measured.figure(|reading| reading.cpu)),
        "p50Microseconds": figure(measured.figure(|reading| Some(micros(reading.sample.p50)))),
        "p99Microseconds": figure(measured.figure(|reading| Some(micros(reading.sample.p99)))),
        "callsPerSecond": figure(measured.figure(|reading| Some(per_second(reading)))),
        "residentMegabytes": figure(measured.figure(|reading| Some(megabytes(reading.resident_bytes)))),
        "errors": errors,
    })
}

fn edits(edits: &Edits) -> Value {
    let Edits { made, p50, p99, longest, calls, failed } = edits;
    let milliseconds = |took: &u64| micros(*took) / 1e3;
    json!({
        "made": made,
        "p50Milliseconds": milliseconds(p50),
        "p99Milliseconds": milliseconds(p99),
        "longestMilliseconds": milliseconds(longest),
        "calls": calls,
        "failed": failed,
    })
}

fn table(text: &mut String, heads: &[&str]) {
    row(text, heads);
    row(text, &vec!["---"; heads.len()]);
}

fn row(text: &mut String, cells: &[&str]) {
    line(text, &format!("| {} |", cells.join(" | ")));
}

fn line(text: &mut String, line: &str) {
    let _written = writeln!(text, "{line}");
}
