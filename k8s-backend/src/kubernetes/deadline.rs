//! The deadline by which a Job ends without being deleted.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;

/// Returns the `activeDeadlineSeconds` by which a Job ends after this delay, or earlier if its own deadline
/// is earlier; `None` where no deadline counts, because the Job is suspended or was not processed yet.
pub(super) fn shortened(job: &Job, now: Timestamp, delay: Duration) -> Option<i64> {
    let spec = job.spec.as_ref()?;
    if spec.suspend == Some(true) {
        return None;
    }
    let started = job.status.as_ref()?.start_time.as_ref()?.0;
    let elapsed = now.duration_since(started).as_secs().max(0);
    let delay = i64::try_from(delay.as_secs()).unwrap_or(i64::MAX);
    // Kubernetes accepts no 0.
    let wanted = elapsed.saturating_add(delay).max(1);
    Some(spec.active_deadline_seconds.map_or(wanted, |own| own.min(wanted)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(spec: &serde_json::Value, status: &serde_json::Value) -> Job {
        let template = json!({ "spec": { "containers": [] } });
        let mut job = json!({ "metadata": {}, "spec": spec, "status": status });
        job["spec"]["template"] = template;
        serde_json::from_value(job).unwrap()
    }

    #[test]
    fn deadline_counts_from_the_start_of_the_job_and_is_never_later_than_its_own() {
        let started = json!({ "startTime": "2026-01-01T10:00:00Z" });
        let now = "2026-01-01T10:10:00Z".parse().unwrap();
        for (spec, delay, expected) in [
            (json!({ "activeDeadlineSeconds": 21_600 }), 600, Some(1200)),
            (json!({ "activeDeadlineSeconds": 700 }), 600, Some(700)),
            (json!({}), 0, Some(600)),
            (json!({ "suspend": true }), 600, None),
        ] {
            assert_eq!(shortened(&job(&spec, &started), now, Duration::from_secs(delay)), expected, "{spec}");
        }
        assert_eq!(shortened(&job(&json!({}), &json!({})), now, Duration::ZERO), None, "not processed yet");
        let clock_behind = "2026-01-01T09:00:00Z".parse().unwrap();
        assert_eq!(shortened(&job(&json!({}), &started), clock_behind, Duration::ZERO), Some(1));
    }
}
