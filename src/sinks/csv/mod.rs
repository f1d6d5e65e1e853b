//! CSV files: the brief columns, daily.
