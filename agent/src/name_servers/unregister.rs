//! Takes brokers that are gone out of the table of the name server beside the agent. 5.x does it by itself when a
//! broker's connection closes, but through a queue; a killed machine's connection stays for 120 s on all tags.

use std::time::Duration;

use rocketmq::model::route::RegisteredBroker;
use rocketmq::remoting::client::Client;
use rocketmq::remoting::error::RemotingError;
use tokio::time::Instant;

/// How long 5.x may take after its answer (`BatchUnregistrationService`).
pub const GONE_WITHIN: Duration = Duration::from_secs(15);

/// How long between two looks at the table.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Why a broker is still in the table.
#[derive(Debug, thiserror::Error)]
pub enum UnregisterError {
    /// The name server does not answer.
    #[error(transparent)]
    NameServer(#[from] RemotingError),
    /// It lists a broker again, or still.
    #[error(
        "`{}` with id {} at {} is still listed {} s after it was unregistered, or again: then its process runs",
        .0.broker_name, .0.broker_id, .0.address, .1.as_secs()
    )]
    StillListed(RegisteredBroker, Duration),
}

/// Unregisters those that are listed exactly so, and looks until they are gone. A broker that has another address or id
/// by now is another one and stays.
pub async fn unregister(
    client: &Client,
    brokers: &[RegisteredBroker],
    within: Duration,
) -> Result<(), UnregisterError> {
    let listed = async || {
        let listed = client.cluster_info().await?.value;
        Ok::<Vec<_>, RemotingError>(brokers.iter().filter(|broker| listed.contains(broker)).collect())
    };
    for broker in listed().await? {
        client.unregister_broker(broker).await?;
        tracing::info!(
            broker = broker.broker_name,
            id = broker.broker_id,
            address = broker.address,
            "unregistered"
        );
    }
    let deadline = Instant::now() + within;
    while let Some(broker) = listed().await?.first().copied() {
        if Instant::now() >= deadline {
            return Err(UnregisterError::StillListed(broker.clone(), within));
        }
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }
    Ok(())
}
