//! Telling what happens: one short line a step, with the time since the beginning.

use std::fmt::Display;
use std::time::Instant;

/// Tells what happens, or keeps silent.
#[derive(Debug, Clone, Copy)]
pub struct Story {
    told_since: Option<Instant>,
}

impl Story {
    /// Tells from now on.
    pub fn aloud() -> Self {
        Self { told_since: Some(Instant::now()) }
    }

    /// Tells nothing.
    pub fn silent() -> Self {
        Self { told_since: None }
    }

    /// Begins a chapter.
    pub fn chapter(&self, title: impl Display) {
        if self.told_since.is_some() {
            println!("\n{title}");
        }
    }

    /// Tells a step.
    pub fn step(&self, line: impl Display) {
        if let Some(started) = self.told_since {
            println!("{:6.1} s  {line}", started.elapsed().as_secs_f64());
        }
    }

    /// Shows the output of something, as it is.
    pub fn show(&self, text: &str) {
        if self.told_since.is_some() {
            text.lines().for_each(|line| println!("          {line}"));
        }
    }
}
