//! How long clients take to follow what changes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// After this time a client has shared out the queues that it knows once more (`RebalanceService.waitInterval`, all tags).
const REBALANCE: Duration = Duration::from_secs(20);

/// What answers take, and a rebalance of many groups.
const SOME: Duration = Duration::from_secs(5);

/// What a producer had under way when it heard of new routes arrives by then: three tries of 3 s
/// (`DefaultMQProducer.sendMsgTimeout`, `retryTimesWhenSendFailed`, all tags).
const SENT_WITHIN: Duration = Duration::from_secs(10);

/// How often the clients of a cluster fetch their routes: `ClientConfig.pollNameServerInterval`, 30 s unless an
/// application sets it (all tags). Whole seconds, because a journal keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoutePeriod {
    seconds: u32,
}

impl Default for RoutePeriod {
    fn default() -> Self {
        Self { seconds: 30 }
    }
}

impl RoutePeriod {
    /// A period; `None` if no client would have it: below a second, or above an hour. It is rounded up.
    #[must_use]
    pub fn new(period: Duration) -> Option<Self> {
        let seconds = period.as_secs().saturating_add(u64::from(period.subsec_nanos() > 0));
        let seconds = u32::try_from(seconds).ok().filter(|seconds| *seconds <= 3_600)?;
        (period >= Duration::from_secs(1)).then_some(Self { seconds })
    }

    /// After this time every client has fetched its routes.
    #[must_use]
    pub fn get(self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }

    /// After this time every consumer has fetched its routes, and taken and let go of queues accordingly.
    #[must_use]
    pub fn moved_within(self) -> Duration {
        self.get() + REBALANCE + SOME
    }

    /// Whoever says what they hold, and has not moved by then, is not moved by time.
    #[must_use]
    pub fn moved_if_ever(self) -> Duration {
        self.moved_within() * 3
    }

    /// How long nobody must have written: a client that fetched its routes just before writes were stopped fetches them
    /// again within one period, and what it had under way arrives within another.
    #[must_use]
    pub fn quiet_for(self) -> Duration {
        self.get() + self.get().max(SENT_WITHIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wait_for_clients_follows_their_period() {
        let check = |period: u64, moved: u64, quiet: u64| {
            let period = RoutePeriod::new(Duration::from_secs(period)).unwrap();
            let waits = [period.moved_within(), period.moved_if_ever(), period.quiet_for()];
            assert_eq!(waits.map(|wait| wait.as_secs()), [moved, 3 * moved, quiet], "{period:?}");
        };
        check(30, 55, 60);
        check(60, 85, 120);
        check(1, 26, 11);
        check(3_600, 3_625, 7_200);
        assert_eq!(RoutePeriod::new(Duration::from_secs(30)), Some(RoutePeriod::default()));
    }

    #[test]
    fn a_period_is_between_a_second_and_an_hour_and_rounded_up() {
        let check = |millis: u64, seconds: Option<u64>| {
            let period = RoutePeriod::new(Duration::from_millis(millis));
            assert_eq!(period.map(|period| period.get().as_secs()), seconds, "{millis}");
        };
        check(0, None);
        check(999, None);
        check(1_000, Some(1));
        check(1_500, Some(2));
        check(3_600_000, Some(3_600));
        check(3_600_001, None);
        assert_eq!(RoutePeriod::new(Duration::MAX), None);
    }
}
