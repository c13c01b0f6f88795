//! How far attempts got: columns that only decisions and messages read.

use std::collections::HashMap;

use super::{
    ResultExt as _, StoreError,
    db::{Transaction, query_as},
    parse_time_opt,
};
use crate::model::Progress;

struct Row {
    id: String,
    last_error: Option<String>,
    refused_since: Option<String>,
    running_at: Option<String>,
    reported_at: Option<String>,
    deadline: Option<String>,
}
from_row!(Row { id, last_error, refused_since, running_at, reported_at, deadline });

/// Reads the progress of the attempts of a job, by their ids.
pub(super) async fn of_job(
    tx: &mut Transaction,
    job_id: i64,
) -> Result<HashMap<String, Progress>, StoreError> {
    let rows = query_as::<Row>(
        "SELECT id, last_error, refused_since, running_at, reported_at, deadline
         FROM attempts WHERE job_id = $1",
    )
    .bind(job_id)
    .fetch_all(&mut **tx)
    .await
    .context("read the progress of attempts")?;
    rows.into_iter().map(Row::into_progress).collect()
}

impl Row {
    fn into_progress(self) -> Result<(String, Progress), StoreError> {
        let Self { id, last_error, refused_since, running_at, reported_at, deadline } = self;
        let progress = Progress {
            last_error,
            refused_since: parse_time_opt(refused_since.as_deref())?,
            running_at: parse_time_opt(running_at.as_deref())?,
            reported_at: parse_time_opt(reported_at.as_deref())?,
            deadline,
        };
        Ok((id, progress))
    }
}
