//! The writer's connection: opened when needed, used for one transaction at a time, and reopened after a failure that
//! makes it unusable.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::connection;
use super::error::StoreError;

/// The path of the file, and the connection if it is open.
#[derive(Debug)]
pub(super) struct Db {
    path: PathBuf,
    max_pages: Option<u32>,
    conn: Option<Connection>,
}

impl Db {
    /// Starts without a connection.
    pub(super) fn new(path: &Path, max_pages: Option<u32>) -> Self {
        Self { path: path.to_owned(), max_pages, conn: None }
    }

    /// Runs `work` in one transaction: all of it is committed, or nothing.
    pub(super) fn transact<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.with(doing, |conn| {
            // IMMEDIATE: a lock held by another process is detected before any work is done.
            let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&tx)?;
            tx.commit()?;
            Ok(result)
        })
    }

    /// Runs `work` on the connection, outside of a transaction.
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
