//! What came of the scenarios, as the player tells it and as a table shows it.

use anyhow::Context as _;
use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use serde::Deserialize;

use super::Role;

/// Columns of the table; a terminal may be wider or narrower, and so may be what a pipe goes into.
const WIDTH: u16 = 130;

/// One scenario that has ended.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Outcome {
    pub(super) scenario: String,
    /// What happens in it.
    pub(super) shows: String,
    pub(super) passed: bool,
    pub(super) seconds: f64,
    /// What was seen, or what is wrong with that.
    pub(super) text: String,
}

impl Outcome {
    /// Reads a line of the player.
    pub(super) fn read(line: &str) -> anyhow::Result<Self> {
        serde_json::from_str(line).with_context(|| format!("the player said {line:?}, expected a scenario"))
    }
}

/// Renders a row for each scenario, in the order in which they ended, with a column for each role.
pub(super) fn table(outcomes: &[(Role, Outcome)], colours: bool) -> String {
    let header = ["Scenario", "What happens", "With the documented role", "With the extended role"];
    let mut table = new_table(&header, colours);
    let mut names: Vec<&str> = Vec::new();
    for (_, outcome) in outcomes {
        if !names.contains(&outcome.scenario.as_str()) {
            names.push(&outcome.scenario);
        }
    }
    for name in names {
        let of = |role| outcomes.iter().find(|(own, outcome)| *own == role && outcome.scenario == name);
        let (seed, extended) = (of(Role::Seed), of(Role::Extended));
        let shows = seed.or(extended).map(|(_, outcome)| outcome.shows.as_str());
        table.add_row([Cell::new(name), Cell::new(shows.unwrap_or_default()), cell(seed), cell(extended)]);
    }
    table.to_string()
}

/// Renders the stories of the main job, in the order in which they were played.
pub(super) fn stories(outcomes: &[Outcome], colours: bool) -> String {
    let mut table = new_table(&["Story", "What happens", "What came of it"], colours);
    for outcome in outcomes {
        table.add_row([Cell::new(&outcome.scenario), Cell::new(&outcome.shows), told(outcome)]);
    }
    table.to_string()
}

fn new_table(header: &[&str], colours: bool) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(header);
    if colours {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table
}

fn cell(outcome: Option<&(Role, Outcome)>) -> Cell {
    outcome.map_or_else(|| Cell::new("-"), |(_, outcome)| told(outcome))
}

fn told(outcome: &Outcome) -> Cell {
    let (mark, colour) = if outcome.passed { ("✔", Color::Green) } else { ("✘", Color::Red) };
    Cell::new(format!("{mark} {} ({:.1} s)", outcome.text, outcome.seconds)).fg(colour)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(scenario: &str, passed: bool, text: &str) -> Outcome {
        let line = serde_json::json!({
            "scenario": scenario, "shows": "it happens", "passed": passed, "seconds": 1.24, "text": text,
        });
        Outcome::read(&line.to_string()).unwrap()
    }

    #[test]
    fn a_scenario_has_one_row_for_both_roles_and_a_dash_where_it_was_not_played() {
        let outcomes = [
            (Role::Seed, outcome("one", true, "exit code 137")),
            (Role::Extended, outcome("two", true, "deleted")),
            (Role::Extended, outcome("one", false, "it ended as \"x\"")),
        ];
        let table = table(&outcomes, false);
        let rows: Vec<_> = table.lines().filter(|line| line.contains("it happens")).collect();
        assert_eq!(rows.len(), 2, "{table}");
        assert!(rows[0].contains("✔ exit code 137 (1.2 s)") && rows[0].contains("✘ it ended as"), "{table}");
        assert!(rows[1].contains("┆ -") && rows[1].contains("✔ deleted"), "{table}");
    }

    #[test]
    fn a_line_that_is_no_scenario_is_shown_as_it_is() {
        assert!(Outcome::read("thread panicked").unwrap_err().to_string().contains("\"thread panicked\""));
    }
}
