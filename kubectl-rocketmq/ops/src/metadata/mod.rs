//! A broker's metadata (topics, subscription groups, request modes, offsets) as a bundle, and how those of two brokers
//! differ. Reads only; what changes a broker is [`crate::operations::import_metadata`].

mod bundles;
mod diff;
mod export;
mod pods;
#[cfg(test)]
mod tests;

pub use bundles::Bundle;
pub use diff::{ChangeRow, ChangeWord, ComparedKind, DiffReport, DiffRequest, FieldRow, Other, diff};
pub use export::{ExportChoice, ExportReport, ExportRequest, export};

pub(crate) use bundles::{bundled, sha256};
pub(crate) use diff::report as diff_report;
pub(crate) use export::{Tables, tables};
pub(crate) use pods::{broker_pod, master_of};
