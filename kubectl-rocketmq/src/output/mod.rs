//! Every printed character: views turn reports into text and documents, the printer is the only one who prints.
//!
//! Views are pure: they do no I/O and read no clock.

#[cfg(test)]
pub(crate) mod captured;
pub mod document;
pub mod error_view;
pub mod format;
pub mod history_view;
pub mod jsonpath;
pub mod metadata_view;
pub mod page;
pub mod plan_view;
pub mod printer;
pub mod progress_view;
pub mod report_view;
pub mod section;
pub mod status_view;
pub mod style;
pub mod table;
pub mod text;
pub mod version_view;
