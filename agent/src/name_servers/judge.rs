//! What an agent does about one name server, from what it just saw. Pure.

/// What one look at a name server showed of the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Listed, and the entry is the broker's own.
    Own,
    /// Listed under a bridge's data version although this agent holds no bridge there: an earlier agent's, which
    /// goes when the name server sees that agent's channel closed.
    LeftOver,
    /// Listed as itself, from before the name server left the list and came back to it: nothing keeps that entry's
    /// channel busy, so the name server closes it and drops the entry (`serverChannelMaxIdleTimeSeconds`, all tags).
    Former,
    /// Not listed at its address.
    Absent,
}

/// What else counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// The broker runs and answers.
    pub answers: bool,
    /// A stop of the broker is marked.
    pub stopping: bool,
    /// A name server of the list shows the broker's own registration since its present start.
    pub shown_elsewhere: bool,
    /// The last look at this name server still showed an entry: it may be a stop that reaches one name server
    /// after the other.
    pub vanished_just_now: bool,
    /// The broker is a slave.
    pub slave: bool,
    /// The name server lists the group's master.
    pub master_listed: bool,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The broker is there as itself.
    Leave,
    /// Register it in its stead.
    Bridge,
    /// Look again later, and tell why nothing is done.
    Wait(&'static str),
}

/// Decides.
pub fn judge(sight: Sight, situation: &Situation) -> Verdict {
    match sight {
        Sight::Own => Verdict::Leave,
        _ if situation.stopping => Verdict::Wait("the broker is being stopped"),
        _ if !situation.answers => Verdict::Wait("the broker does not answer"),
        _ if situation.vanished_just_now => Verdict::Wait("its entry has just gone"),
        _ if !situation.shown_elsewhere => {
            Verdict::Wait("no name server shows the broker's own registration since its start")
        }
        // A slave that registers without its master gets no master's address.
        _ if situation.slave && !situation.master_listed => {
            Verdict::Wait("its master is not listed there yet")
        }
        Sight::LeftOver | Sight::Former | Sight::Absent => Verdict::Bridge,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Situation = Situation {
        answers: true,
        stopping: false,
        shown_elsewhere: true,
        vanished_just_now: false,
        slave: false,
        master_listed: false,
    };

    #[test]
    fn a_bridge_needs_every_condition() {
        assert_eq!(judge(Sight::Absent, &GOOD), Verdict::Bridge);
        assert_eq!(judge(Sight::LeftOver, &GOOD), Verdict::Bridge);
        assert_eq!(judge(Sight::Former, &GOOD), Verdict::Bridge);
        for without in [
            Situation { answers: false, ..GOOD },
            Situation { stopping: true, ..GOOD },
            Situation { shown_elsewhere: false, ..GOOD },
            Situation { vanished_just_now: true, ..GOOD },
            Situation { slave: true, ..GOOD },
        ] {
            for sight in [Sight::Absent, Sight::LeftOver, Sight::Former] {
                assert!(matches!(judge(sight, &without), Verdict::Wait(_)), "{sight:?} {without:?}");
            }
        }
        assert_eq!(
            judge(Sight::Absent, &Situation { slave: true, master_listed: true, ..GOOD }),
            Verdict::Bridge
        );
    }

    #[test]
    fn the_brokers_own_entry_is_never_touched() {
        for situation in [GOOD, Situation { answers: false, stopping: true, ..GOOD }] {
            assert_eq!(judge(Sight::Own, &situation), Verdict::Leave);
        }
    }
}
