//! Results of scenarios, as lines and as a table.

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};

use crate::{role::Role, ui::Ui};

/// Columns of the table, also where the output is not a terminal.
const WIDTH: u16 = 130;

/// A scenario that has ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) scenario: String,
    /// What happens in it.
    pub(crate) description: String,
    pub(crate) seconds: f64,
    /// What was observed, or what is wrong.
    pub(crate) result: Result<String, String>,
}

impl Outcome {
    /// Creates the outcome of a scenario.
    pub(crate) fn new(
        scenario: &str,
        description: &str,
        seconds: f64,
        result: Result<String, String>,
    ) -> Self {
        let (scenario, description) = (scenario.to_owned(), description.to_owned());
        Self { scenario, description, seconds, result }
    }

    /// Returns whether it went as expected.
    pub(crate) fn is_passed(&self) -> bool {
        self.result.is_ok()
    }

    /// Prints it as a line.
    pub(crate) fn print(&self, ui: &Ui) {
        let (Ok(text) | Err(text)) = &self.result;
        let line = format!("{} ({:.1} s): {text}", self.scenario, self.seconds);
        if self.is_passed() { ui.success(&line) } else { ui.warning(&line) }
    }

    fn cell(&self) -> Cell {
        let (mark, color) = if self.is_passed() { ("✔", Color::Green) } else { ("✘", Color::Red) };
        let (Ok(text) | Err(text)) = &self.result;
        Cell::new(format!("{mark} {text} ({:.1} s)", self.seconds)).fg(color)
    }
}

/// Renders a row for each scenario, with a column for each role.
pub(crate) fn role_table(outcomes: &[(Role, Outcome)], colors: bool) -> String {
    let header = ["Scenario", "Description", "Documented role", "Extended role"];
    let mut table = new_table(&header, colors);
    let mut names: Vec<&str> = Vec::new();
    for (_, outcome) in outcomes {
        if !names.contains(&outcome.scenario.as_str()) {
            names.push(&outcome.scenario);
        }
    }
    for name in names {
        let of = |role| outcomes.iter().find(|(own, outcome)| *own == role && outcome.scenario == name);
        let (seed, extended) = (of(Role::Seed), of(Role::Extended));
        let cell = |outcome: Option<&(Role, Outcome)>| {
            outcome.map_or_else(|| Cell::new("-"), |(_, outcome)| outcome.cell())
        };
        let description = seed.or(extended).map(|(_, outcome)| outcome.description.as_str());
        table.add_row([Cell::new(name), Cell::new(description.unwrap_or("")), cell(seed), cell(extended)]);
    }
    table.to_string()
}

/// Renders a row for each scenario of the main job.
pub(crate) fn table(outcomes: &[Outcome], colors: bool) -> String {
    let mut table = new_table(&["Scenario", "Description", "Result"], colors);
    for outcome in outcomes {
        table.add_row([Cell::new(&outcome.scenario), Cell::new(&outcome.description), outcome.cell()]);
    }
    table.to_string()
}

fn new_table(header: &[&str], colors: bool) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(header);
    if colors {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(scenario: &str, result: Result<&str, &str>) -> Outcome {
        let result = result.map(str::to_owned).map_err(str::to_owned);
        Outcome::new(scenario, "it happens", 1.24, result)
    }

    #[test]
    fn scenario_has_one_row_for_both_roles_and_a_dash_where_it_did_not_run() {
        let outcomes = [
            (Role::Seed, outcome("one", Ok("exit code 137"))),
            (Role::Extended, outcome("two", Ok("deleted"))),
            (Role::Extended, outcome("one", Err("it ended as \"x\""))),
        ];
        let table = role_table(&outcomes, false);
        let rows: Vec<_> = table.lines().filter(|line| line.contains("it happens")).collect();
        assert_eq!(rows.len(), 2, "{table}");
        assert!(rows[0].contains("✔ exit code 137 (1.2 s)") && rows[0].contains("✘ it ended as"), "{table}");
        assert!(rows[1].contains("┆ -") && rows[1].contains("✔ deleted"), "{table}");
    }
}
