//! The versions of the database: each file of `migrations/` migrates from the one before.
//!
//! A released file never changes: sqlx keeps its checksum in every database and refuses another one.

use sqlx::{
    SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

/// Number, description and text of each migration, in their order.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "initial", include_str!("../../migrations/0001_initial.sql")),
    (2, "waiting", include_str!("../../migrations/0002_waiting.sql")),
    (3, "variable layers", include_str!("../../migrations/0003_variable_layers.sql")),
    (4, "claim data", include_str!("../../migrations/0004_claim_data.sql")),
    (5, "cause columns", include_str!("../../migrations/0005_cause_columns.sql")),
];

/// Returns the migrations that bring a database of any earlier version to the current one.
pub(super) fn migrator() -> Migrator {
    migrator_to(i64::MAX)
}

/// Returns the migrations up to a version.
pub(super) fn migrator_to(last: i64) -> Migrator {
    let migration = |&(version, description, sql): &(i64, &'static str, &'static str)| {
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(
        MIGRATIONS.iter().filter(|(version, ..)| *version <= last).map(migration).collect(),
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn lists_every_file_of_the_folder_in_order() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let mut files: Vec<_> =
            folder.read_dir().unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        let listed: Vec<_> = MIGRATIONS
            .iter()
            .map(|(version, description, _)| format!("{version:04}_{}.sql", description.replace(' ', "_")))
            .collect();
        assert_eq!(listed, files);
    }

    #[test]
    fn keeps_checksums_of_released_migrations() {
        let checksum =
            |migration: &Migration| format!("{:02x}{:02x}", migration.checksum[0], migration.checksum[1]);
        let found: Vec<_> = migrator().iter().map(checksum).collect();
        assert_eq!(found[..2], ["b1e4", "5ff5"]);
    }
}
