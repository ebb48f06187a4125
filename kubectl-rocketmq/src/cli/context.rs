//! What every verb works with: the printer, the signals, and a session once one is needed.

use std::future::Future;
use std::sync::Arc;

use ops::error::OpsError;
use ops::session::Session;

use crate::cli::args::ConnectionArgs;
use crate::cli::signals::Signals;
use crate::failure::{ExitStatus, Failure};
use crate::output::printer::Printer;

/// What every verb works with.
#[derive(Debug)]
pub struct Context {
    /// Prints.
    pub printer: Arc<Printer>,
    /// Asks to end.
    pub signals: Signals,
    /// kubectl's flags.
    pub connection: ConnectionArgs,
}

impl Context {
    /// Connects to the cluster that the flags name.
    ///
    /// # Errors
    /// When there is no usable kubeconfig, or it names nothing usable.
    pub async fn connect(&mut self) -> Result<Session, Failure> {
        let flags = self.connection.to_flags();
        self.reading(Session::connect(&flags)).await
    }

    /// Runs what only reads: the first signal ends it.
    ///
    /// # Errors
    /// Those of the work, or `Interrupted`.
    pub async fn reading<T>(
        &mut self,
        work: impl Future<Output = Result<T, OpsError>>,
    ) -> Result<T, Failure> {
        self.until_interrupted(async { work.await.map_err(Failure::from) }).await
    }

    /// As [`Self::reading`], for work that fails in its own way.
    ///
    /// # Errors
    /// Those of the work, or `Interrupted`.
    pub async fn until_interrupted<T>(
        &mut self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            result = work => result,
            () = self.signals.next() => {
                Err(Failure::new(ExitStatus::Interrupted, "interrupted").state("nothing was changed"))
            }
        }
    }

    /// ` -n NAMESPACE` if the user gave one, for commands that hints name.
    #[must_use]
    pub fn namespace_flag(&self) -> String {
        self.connection.namespace.as_ref().map(|namespace| format!(" -n {namespace}")).unwrap_or_default()
    }
}
