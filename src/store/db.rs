//! The writer's connection: opened when needed, used one transaction at a time, and opened anew after a failure that
//! cost it.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::connection;
use super::error::StoreError;

/// The file, and the connection when there is one.
#[derive(Debug)]
pub(super) struct Db {
    path: PathBuf,
    max_pages: Option<u32>,
    conn: Option<Connection>,
}

impl Db {
    /// Not connected yet.
    pub(super) fn new(path: &Path, max_pages: Option<u32>) -> Self {
        Self { path: path.to_owned(), max_pages, conn: None }
    }

    /// Runs `work` in one transaction: all of it is committed, or nothing is.
    pub(super) fn transact<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.with(doing, |conn| {
            // Immediate: a lock held by another process shows here, before any work is done.
            let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&tx)?;
            tx.commit()?;
            Ok(result)
        })
    }

    /// Runs `work` on the connection, outside of any transaction.
    pub(super) fn with<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => connection::open_writer(&self.path, self.max_pages)?,
        };
        let result = work(&mut conn).map_err(StoreError::sqlite(doing, &self.path));
        if !result.as_ref().is_err_and(StoreError::costs_the_connection) {
            self.conn = Some(conn);
        }
        result
    }
}
