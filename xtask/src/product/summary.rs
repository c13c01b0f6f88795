//! The table at the end: every step, where it ran, how it ended, how long it took.

use comfy_table::{Cell, CellAlignment, Color, Table, presets};

use super::model::{Job, Status, Step};

/// Renders the table of some jobs.
pub(crate) fn table(jobs: &[Job], colours: bool) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["Job", "Step", "Kubernetes Job", "Status", "Duration"]);
    if colours {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    for job in jobs {
        for (number, step) in job.steps.iter().enumerate() {
            let title = if number == 0 { format!("{} ({})", job.id, job.status) } else { String::new() };
            table.add_row([
                Cell::new(title),
                Cell::new(&step.name),
                Cell::new(places(step)),
                Cell::new(step.status).fg(colour(step.status)),
                Cell::new(duration(step)).set_alignment(CellAlignment::Right),
            ]);
        }
    }
    table.to_string()
}

fn places(step: &Step) -> String {
    let names: Vec<_> = step.attempts.iter().map(|attempt| attempt.kubernetes_job.as_str()).collect();
    if names.is_empty() { "-".to_owned() } else { names.join("\n") }
}

fn colour(status: Status) -> Color {
    match status {
        Status::Completed | Status::NoChanges => Color::Green,
        Status::Failed | Status::Unknown | Status::Rejected | Status::Cancelled => Color::Red,
        Status::NotExecuted | Status::Pending | Status::Running | Status::WaitingApproval => Color::Grey,
    }
}

fn duration(step: &Step) -> String {
    match (step.started_at, step.ended_at) {
        (Some(start), Some(end)) => format!("{:.1} s", end.duration_since(start).as_secs_f64()),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs() -> Vec<Job> {
        serde_json::from_str(
            r#"[{"id":7,"status":"noChanges","steps":[
                {"name":"Plan","status":"completed","startedAt":"2026-01-02T03:04:05.100Z","endedAt":"2026-01-02T03:04:07.45Z",
                 "attempts":[{"id":"a","kubernetesJob":"job-7-100-1"},{"id":"b","kubernetesJob":"job-7-100-2"}]},
                {"name":"Apply","status":"notExecuted","attempts":[]}]}]"#,
        )
        .unwrap()
    }

    #[test]
    fn every_step_has_a_row_with_all_its_kubernetes_jobs() {
        let expected = "\
┌────────────────┬───────┬────────────────┬──────────────┬──────────┐
│ Job            ┆ Step  ┆ Kubernetes Job ┆ Status       ┆ Duration │
╞════════════════╪═══════╪════════════════╪══════════════╪══════════╡
│ 7 (no changes) ┆ Plan  ┆ job-7-100-1    ┆ completed    ┆    2.4 s │
│                ┆       ┆ job-7-100-2    ┆              ┆          │
│                ┆ Apply ┆ -              ┆ not executed ┆        - │
└────────────────┴───────┴────────────────┴──────────────┴──────────┘";
        assert_eq!(table(&jobs(), false), expected);
    }

    #[test]
    fn colours_are_there_only_when_they_are_wanted() {
        assert!(table(&jobs(), true).contains('\u{1b}'));
        assert!(!table(&jobs(), false).contains('\u{1b}'));
    }
}
