//! The token that every changing call of the upper crates asks for.

/// The right to change the world. Only the executor makes one, while it holds the cluster's lock and has the
/// step's before-image in the journal; so a plan or a dry run cannot act.
///
/// It cannot be made outside this crate:
///
/// ```compile_fail,E0451
/// let permit = saga::Permit { operation_id: String::new(), fence: 1 };
/// ```
///
/// ```compile_fail,E0624
/// let permit = saga::Permit::new("op-1", 1);
/// ```
///
/// nor copied, so it does not outlive the run:
///
/// ```compile_fail,E0599
/// fn keep(permit: &saga::Permit) -> saga::Permit {
///     saga::Permit::clone(permit)
/// }
/// ```
#[derive(Debug)]
pub struct Permit {
    operation_id: String,
    fence: u64,
}

impl Permit {
    pub(crate) fn new(operation_id: &str, fence: u64) -> Self {
        Self { operation_id: operation_id.to_owned(), fence }
    }

    /// The operation that acts.
    #[must_use]
    pub fn operation_id(&self) -> &str {
        &self.operation_id
    }

    /// How often the cluster's lock has changed hands. A receiver that has seen a higher one refuses this one.
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.fence
    }
}
