//! The table of jobs and steps: where each step ran, how it ended, how long it took.

use api_server::{
    client::{Job, Step},
    model::StepStatus,
};
use comfy_table::{Cell, CellAlignment, Color, Table, presets};

use crate::follow::spaced;

/// Renders the table of some jobs.
pub(crate) fn table(jobs: &[Job], colors: bool) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["Job", "Step", "Kubernetes Job", "Status", "Duration"]);
    if colors {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    for job in jobs {
        for (number, step) in job.steps.iter().enumerate() {
            let title =
                if number == 0 { format!("{} ({})", job.id, spaced(job.status)) } else { String::new() };
            table.add_row([
                Cell::new(title),
                Cell::new(&step.name),
                Cell::new(kubernetes_jobs(step)),
                Cell::new(spaced(step.status)).fg(color(step.status)),
                Cell::new(duration(step)).set_alignment(CellAlignment::Right),
            ]);
        }
    }
    table.to_string()
}

fn kubernetes_jobs(step: &Step) -> String {
    let names: Vec<_> = step.attempts.iter().map(|attempt| attempt.kubernetes_job.as_str()).collect();
    if names.is_empty() { "-".to_owned() } else { names.join("\n") }
}

fn color(status: StepStatus) -> Color {
    match status {
        StepStatus::Completed => Color::Green,
        StepStatus::Failed | StepStatus::Unknown | StepStatus::Rejected | StepStatus::Cancelled => Color::Red,
        _ => Color::Grey,
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
    fn has_a_row_for_each_step_with_all_its_kubernetes_jobs() {
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
    fn has_colors_only_if_wanted() {
        assert!(table(&jobs(), true).contains('\u{1b}'));
        assert!(!table(&jobs(), false).contains('\u{1b}'));
    }
}
