//! Opens a database file of an earlier version, created with the migrations of that version.

use std::path::Path;

use secrecy::ExposeSecret as _;
use serde_json::json;
use sqlx::{SqlitePool, sqlite::SqliteConnectOptions};

use crate::{
    encryption::EncryptionKey,
    model::VariableOwner,
    store::{Store, StoreError, db::query, migrations, prepared::job_context},
};

/// The last migration of version 0.1.0.
const OLD_VERSION: i64 = 2;

const KEY: [u8; 32] = [7; 32];

async fn old_database(path: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true).foreign_keys(true);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    migrations::sqlite_to(OLD_VERSION).run(&pool).await.unwrap();
    pool
}

/// Fills the tables as version 0.1.0 did: a workspace with two variables, and a job with two live attempts
/// and one that ended.
async fn fill(pool: &SqlitePool) {
    let key = EncryptionKey::new(KEY);
    let sealed = |context: &str, value: &str| key.seal(context, value.as_bytes());
    let time = "2026-01-01T00:00:00Z";
    for sql in [
        "INSERT INTO organizations VALUES ('org', 'acme', ?)",
        "INSERT INTO workspaces
         VALUES ('ws', 'org', 'net', 'https://git.example.com/a.git', 'main', '/', 'terraform', '', 1, ?)",
        "INSERT INTO templates VALUES ('tpl', 'org', 'plan', substr(?, 1, 0) || 'flow: []')",
        "INSERT INTO jobs (organization_id, workspace_id, template_id, status, created_at)
         VALUES ('org', 'ws', 'tpl', 'running', ?)",
        "INSERT INTO steps (id, job_id, number, name, type, status, started_at)
         VALUES ('step', 1, 100, 'Plan', 'terraformPlan', 'running', ?)",
    ] {
        sqlx::query(sql).bind(time).execute(pool).await.unwrap();
    }
    for (id, name, value, sensitive) in [("v1", "TOKEN", "hunter2", true), ("v2", "REGION", "eu", false)] {
        sqlx::query("INSERT INTO variables VALUES (?, 'ws', 'ENV', ?, ?, ?, FALSE)")
            .bind(id)
            .bind(name)
            .bind(sealed(&format!("variable {id}"), value))
            .bind(sensitive)
            .execute(pool)
            .await
            .unwrap();
    }
    for (number, id, job_data, live) in
        [(1, "ended", None, false), (2, "in-job", None, true), (3, "by-claim", Some("e30="), true)]
    {
        let name = format!("job-1-100-{number}");
        let prepared =
            json!({ "job": { "metadata": { "name": name } }, "secret": null, "jobData": job_data });
        sqlx::query(
            "INSERT INTO attempts (id, job_id, step_id, number, kubernetes_job, token_hash, job_object_sealed,
                                   phase, live, status, created_at)
             VALUES (?, 1, 'step', ?, ?, x'00', ?, 'submitted', ?, 'pending', ?)",
        )
        .bind(id)
        .bind(number)
        .bind(name)
        .bind(sealed(&job_context(id), &prepared.to_string()))
        .bind(live)
        .bind(time)
        .execute(pool)
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn opens_database_of_version_0_1_0() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let pool = old_database(&path).await;
    fill(&pool).await;
    pool.close().await;

    // Twice: the second time there is nothing to change.
    for _ in 0..2 {
        let store = Store::open(&path, EncryptionKey::new(KEY)).await.unwrap();
        let variables = store.variables(&VariableOwner::Workspace("ws".to_owned())).await.unwrap();
        let read: Vec<_> =
            variables.iter().map(|v| (v.key.as_str(), v.value.expose_secret(), v.sensitive)).collect();
        assert_eq!(read, [("REGION", "eu", false), ("TOKEN", "hunter2", true)]);

        let in_job = store.claim_data("in-job").await.unwrap();
        assert_eq!(in_job.job_data, None);
        assert_eq!(in_job.sensitive.into_iter().collect::<Vec<_>>(), ["TOKEN"]);
        let by_claim = store.claim_data("by-claim").await.unwrap();
        assert_eq!(by_claim.job_data.as_deref(), Some("e30="));
        assert_eq!(store.prepared("by-claim").await.unwrap().name(), "job-1-100-3");
        // Nothing can claim it any more.
        assert!(matches!(store.claim_data("ended").await, Err(StoreError::Corrupt(_))));
        assert_eq!(store.job(1).await.unwrap().steps[0].attempts.len(), 3);
        store.close().await;
    }
}

#[tokio::test]
async fn variable_has_exactly_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let pool = old_database(&path).await;
    fill(&pool).await;
    pool.close().await;
    let store = Store::open(&path, EncryptionKey::new(KEY)).await.unwrap();
    for (workspace, organization) in [(None, None), (Some("ws"), Some("org"))] {
        let result = query(
            "INSERT INTO variables (id, workspace_id, organization_id, category, key, value_sealed,
                                    sensitive, hcl)
             VALUES ('v3', $1, $2, 'ENV', 'A', x'00', FALSE, FALSE)",
        )
        .bind(workspace)
        .bind(organization)
        .execute(&store.pool)
        .await;
        assert!(result.unwrap_err().to_string().contains("CHECK"));
    }
}
