//! The proof at the end: the route matrix is whole. Reads only.

use std::time::Duration;

use saga::{Change, Permit, Seen, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::members::{required_list, route_matrix};
use crate::steps::name_servers::{Followers, await_registered};
use crate::wait::{Look, until};
use crate::world::World;

/// A broker of 4.x without a bridge registers within 150 s of a list change; a bridge takes under a second.
const WHOLE_WITHIN: Duration = Duration::from_secs(240);

/// Asks the first `size` name servers for every broker and every topic's rows until they all agree with what the
/// brokers hold.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProveRoutes {
    /// Whose routes.
    pub followers: Followers,
    /// The StatefulSet of the name servers.
    pub stateful_set: String,
    /// How many of them must agree, from the first on.
    pub size: u32,
    /// When in the operation, for an operation that proves twice.
    pub moment: Moment,
}

/// When in an operation something is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// Before the first change.
    Before,
    /// After the last.
    After,
}

impl<W: World> Step<W> for ProveRoutes {
    type Before = ();
    const NAME: &'static str = "prove-routes";

    fn instance(&self) -> String {
        match self.moment {
            Moment::Before => "before".to_owned(),
            Moment::After => "after".to_owned(),
        }
    }

    fn describe(&self) -> Change {
        let which = match self.moment {
            Moment::Before => "the name server(s) that stay",
            Moment::After => "the name server(s)",
        };
        Change::new(format!("prove the routes: {which} ({}), every broker, every topic", self.size))
    }

    async fn look(&self, _world: &W) -> Result<Seen<()>, StepError> {
        Ok(Seen::Todo(()))
    }

    async fn apply(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(())
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        let brokers = &self.followers.stateful_sets();
        until(world, "the route matrix is whole", WHOLE_WITHIN, || async move {
            let mut pods = match world.pods(&self.stateful_set).await {
                Ok(pods) => pods,
                Err(error) => return Look::NotYet(error.to_string()),
            };
            pods.truncate(self.size as usize);
            if pods.len() < self.size as usize {
                return Look::NotYet(format!("{} of {} name servers exist", pods.len(), self.size));
            }
            match route_matrix(world, &pods, brokers).await {
                Ok(matrix) if matrix.is_whole() => Look::Holds(()),
                Ok(matrix) => Look::NotYet(matrix.summary()),
                Err(error) => Look::NotYet(error.to_string()),
            }
        })
        .await
    }

    async fn undo(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(())
    }
}

/// Waits until every broker is registered at name servers that this plugin does not manage, and that have no agent
/// to be asked for their routes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProveRegistrations {
    /// Whose.
    pub followers: Followers,
}

impl<W: World> Step<W> for ProveRegistrations {
    type Before = ();
    const NAME: &'static str = "prove-registrations";

    fn describe(&self) -> Change {
        Change::new("prove that every broker is registered at every name server of its list")
    }

    async fn look(&self, _world: &W) -> Result<Seen<()>, StepError> {
        Ok(Seen::Todo(()))
    }

    async fn apply(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(())
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        let list = required_list(world, &self.followers.cluster).await?;
        await_registered(world, &self.followers, &list).await
    }

    async fn undo(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(())
    }
}
