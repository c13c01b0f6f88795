//! Leases of replicas, and the fence of the store that a replica decides with.

use std::time::Duration;

use super::*;
use crate::{
    encryption::EncryptionKey,
    model::{JobStatus, StepStatus},
    store::{
        PostgresAddress,
        postgres_server::new_database,
        tests::{claimed_job, on_each_database},
    },
};

const LEASE: Duration = Duration::from_mins(1);
const EXPIRED: Duration = Duration::ZERO;

#[tokio::test]
async fn one_replica_with_a_lease_decides_about_a_job() {
    on_each_database(async |store| {
        let job = claimed_job(&store).await.id;
        assert!(store.take_job(job, "a").await.unwrap().is_none(), "without a lease");
        assert_eq!(store.jobs_without_replica().await.unwrap(), [job]);
        store.renew_replica("a", LEASE).await.unwrap();
        store.renew_replica("b", LEASE).await.unwrap();
        assert!(store.take_job(job, "a").await.unwrap().is_some());
        assert!(store.take_job(job, "b").await.unwrap().is_none(), "the other one has it");
        assert_eq!(store.jobs_without_replica().await.unwrap(), [0; 0]);
        store.remove_replica("a").await.unwrap();
        assert_eq!(store.jobs_without_replica().await.unwrap(), [job]);
        assert!(store.take_job(job, "b").await.unwrap().is_some());
        let missing = store.take_job(job + 1, "b").await.unwrap_err();
        assert!(matches!(missing, StoreError::NotFound { kind: "job", .. }), "{missing}");
    })
    .await;
}

#[tokio::test]
async fn replica_that_slept_writes_nothing_on_an_old_decision() {
    on_each_database(async |store| {
        let job = claimed_job(&store).await;
        store.renew_replica("a", LEASE).await.unwrap();
        let slept = store.take_job(job.id, "a").await.unwrap().unwrap();
        slept.set_job_message(job.id, Some("of a")).await.unwrap();
        // Its lease expires, and another replica takes the job.
        store.renew_replica("a", EXPIRED).await.unwrap();
        store.renew_replica("b", LEASE).await.unwrap();
        let current = store.take_job(job.id, "b").await.unwrap().unwrap();
        // It wakes up, and renews its lease before anything else.
        store.renew_replica("a", LEASE).await.unwrap();
        let outcomes = [
            slept.end_step(&job.steps[0], StepStatus::Failed, None).await,
            slept.end_job(&job, JobStatus::Failed, None).await,
            slept.set_job_message(job.id, Some("late")).await,
            slept.fence_unclaimed("attempt").await,
            slept.attempt_submitted("attempt").await,
        ];
        for outcome in outcomes {
            assert!(matches!(outcome, Err(StoreError::LeaseLost { job: id }) if id == job.id), "{outcome:?}");
        }
        let stored = store.job(job.id).await.unwrap();
        assert_eq!((stored.status, stored.message.as_deref()), (JobStatus::Pending, Some("of a")));
        current.end_job(&job, JobStatus::Failed, None).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn taking_a_job_again_ends_the_rights_of_the_earlier_task() {
    on_each_database(async |store| {
        let job = claimed_job(&store).await.id;
        store.renew_replica("a", LEASE).await.unwrap();
        let first = store.take_job(job, "a").await.unwrap().unwrap();
        let second = store.take_job(job, "a").await.unwrap().unwrap();
        assert!(matches!(first.set_job_message(job, None).await, Err(StoreError::LeaseLost { .. })));
        second.set_job_message(job, None).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn replicas_that_take_a_job_at_the_same_time_do_not_both_get_it() {
    let Some((first, second)) = two_stores().await else { return };
    let job = claimed_job(&first).await.id;
    for id in ["a", "b"] {
        first.renew_replica(id, LEASE).await.unwrap();
    }
    for _ in 0..20 {
        let (one, two) = tokio::join!(first.take_job(job, "a"), second.take_job(job, "b"));
        let taken = [one.unwrap().is_some(), two.unwrap().is_some()];
        assert_eq!(taken.iter().filter(|taken| **taken).count(), 1, "{taken:?}");
        sqlx::query("UPDATE jobs SET driver = NULL")
            .execute(first.pool.postgres_pool().unwrap())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn wake_up_reaches_the_other_replicas() {
    let Some((first, second)) = two_stores().await else { return };
    let mut wakes = second.wakes().await.unwrap();
    first.wake_replicas(7).await.unwrap();
    assert_eq!(wakes.next().await.unwrap(), Wake::Job(7));
    // The database closes the connections of this replica: what it was sent meanwhile is lost.
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        .execute(first.pool.postgres_pool().unwrap())
        .await
        .unwrap();
    assert_eq!(wakes.next().await.unwrap(), Wake::Missed);
    first.wake_replicas(8).await.unwrap();
    assert_eq!(wakes.next().await.unwrap(), Wake::Job(8));
}

#[tokio::test]
async fn refuses_another_data_folder() {
    on_each_database(async |store| {
        store.bind_data_folder("one").await.unwrap();
        store.bind_data_folder("one").await.unwrap();
        let error = store.bind_data_folder("two").await.unwrap_err().to_string();
        assert!(error.contains("\"one\"") && error.contains("\"two\""), "{error}");
    })
    .await;
}

#[tokio::test]
async fn replica_that_stops_in_a_transaction_does_not_keep_the_others_from_writing() {
    let Some((first, second)) = two_stores().await else { return };
    let _stopped = first.write().await.unwrap();
    // The database ends that transaction; until then this one waits.
    second.renew_replica("b", LEASE).await.unwrap();
}

#[tokio::test]
async fn replica_continues_after_a_newer_one_has_added_columns() {
    let Some((first, second)) = two_stores().await else { return };
    let job = claimed_job(&first).await;
    let pool = second.pool.postgres_pool().unwrap();
    for table in ["organizations", "workspaces", "jobs", "steps", "attempts"] {
        let sql = format!("ALTER TABLE {table} ADD COLUMN of_a_newer_version TEXT");
        sqlx::query(AssertSqlSafe(sql)).execute(pool).await.unwrap();
    }
    first.workspace(&job.workspace_id).await.unwrap();
    first.organization(&job.organization_id).await.unwrap();
    first.job(job.id).await.unwrap();
}

/// Two programs on one database; `None` without PostgreSQL.
async fn two_stores() -> Option<(Store, Store)> {
    let address = PostgresAddress::parse(&new_database()?).unwrap();
    let open = || Store::connect(address.clone(), EncryptionKey::new([1; 32]));
    // At the same time: both migrate.
    let (first, second) = tokio::join!(open(), open());
    Some((first.unwrap(), second.unwrap()))
}
