//! What the looks of a drain come to. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::held::{Held, Key, lines, messages};
use crate::world::WorldError;

/// How many looks in a row must find nothing: retries and deliveries go from one place to another.
const EMPTY_LOOKS: u32 = 2;

/// Over how many looks the speed is taken.
const SPEED_OVER: usize = 12;

/// What one look at one master found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The broker group.
    pub(super) broker: String,
    /// What somebody wants.
    pub(super) held: Vec<Held>,
    /// What could not be looked at.
    pub(super) unknown: Vec<String>,
    /// When its process started.
    pub(super) boot: u64,
    /// Sum of the ends of the queues that clients send to.
    pub(super) written: u64,
    /// True if it had to be closed to writes once more.
    pub(super) closed_again: bool,
}

/// What all looks so far come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nobody wants anything any more.
    Drained,
    /// Somebody does, or it is not known.
    NotYet(Left),
    /// These messages do not go by themselves, and were not counted.
    Never(Vec<Held>),
}

/// What keeps a drain from its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// How much in all, how fast, and how long still; `None` when nothing is left.
    pub(super) summary: Option<String>,
    /// The rows.
    pub(super) held: Vec<Held>,
    /// The same as lines of a table, with the speed of each; empty without rows.
    pub(super) table: Vec<String>,
    /// What else, in words.
    pub(super) reasons: Vec<String>,
}

/// One process of one master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Watched {
    boot: u64,
    written: u64,
    quiet_since: Duration,
}

/// Keeps what the looks found.
#[derive(Debug)]
pub(super) struct Ledger<'a> {
    abandoned: &'a [Held],
    /// How long nobody must have written.
    quiet_for: Duration,
    masters: Vec<Option<Watched>>,
    empty_looks: u32,
    /// When how many messages were left, by row.
    history: VecDeque<(Duration, BTreeMap<Key, u64>)>,
}

/// How fast messages become fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Speed {
    consumed: u64,
    seconds: u64,
}

impl Speed {
    /// How fast, if they became fewer.
    fn of(before: u64, now: u64, time: Duration) -> Option<Self> {
        let consumed = before.checked_sub(now).filter(|consumed| *consumed > 0)?;
        Some(Self { consumed, seconds: time.as_secs() }).filter(|speed| speed.seconds > 0)
    }

    fn rate(self) -> String {
        match self.consumed / self.seconds {
            0 => format!("{}/min", u128::from(self.consumed) * 60 / u128::from(self.seconds)),
            each => format!("{each}/s"),
        }
    }

    /// How long so many still take. Whole numbers do: it is a guess.
    fn time_for(self, messages: u64) -> String {
        format!("{}s", u128::from(messages) * u128::from(self.seconds) / u128::from(self.consumed))
    }
}

impl<'a> Ledger<'a> {
    /// A ledger for so many masters, of which nobody wants anything when nobody has written for so long.
    pub(super) fn new(masters: usize, abandoned: &'a [Held], quiet_for: Duration) -> Self {
        let masters = vec![None; masters];
        Self { abandoned, quiet_for, masters, empty_looks: 0, history: VecDeque::new() }
    }

    /// When the processes were started that were looked at last.
    pub(super) fn boots(&self) -> impl Iterator<Item = Option<u64>> {
        self.masters.iter().map(|watched| watched.map(|watched| watched.boot))
    }

    /// Takes one look at each master.
    pub(super) fn judge(&mut self, now: Duration, looks: Vec<Result<Found, WorldError>>) -> Verdict {
        let mut left = Left::default();
        let mut all_told = true;
        for (watched, look) in self.masters.iter_mut().zip(looks) {
            let found = match look {
                Ok(found) => found,
                // What was written meanwhile is seen at the next look, as is another process.
                Err(error) => {
                    all_told = false;
                    left.reasons.push(error.to_string());
                    continue;
                }
            };
            let goes_on = watched.filter(|before| {
                !found.closed_again && (before.boot, before.written) == (found.boot, found.written)
            });
            let Found { boot, written, .. } = found;
            let watching = goes_on.unwrap_or(Watched { boot, written, quiet_since: now });
            *watched = Some(watching);
            let waits = self.quiet_for.saturating_sub(now.saturating_sub(watching.quiet_since));
            if found.closed_again {
                all_told = false;
                left.reasons.push(format!("`{}` was closed to writes once more", found.broker));
            } else if !waits.is_zero() {
                left.reasons.push(format!(
                    "`{}` must have no new message for {}s more",
                    found.broker,
                    waits.as_secs()
                ));
            }
            all_told &= found.unknown.is_empty();
            left.reasons.extend(found.unknown);
            left.held.extend(found.held);
        }
        let dead = self.uncounted_dead_letters(&left.held);
        if !dead.is_empty() {
            return Verdict::Never(dead);
        }
        let excused = self.excuses(&left.held);
        self.empty_looks = if all_told && excused { self.empty_looks.saturating_add(1) } else { 0 };
        if self.empty_looks >= EMPTY_LOOKS && left.reasons.is_empty() {
            return Verdict::Drained;
        }
        if excused {
            left.held.clear();
        }
        if left.held.is_empty() && left.reasons.is_empty() {
            left.reasons.push("nothing is left; one more look".to_owned());
        }
        (left.summary, left.table) = self.with_speeds(now, all_told, &left.held);
        Verdict::NotYet(left)
    }

    /// True if nothing is left but what was given up.
    fn excuses(&self, held: &[Held]) -> bool {
        held.iter().all(|held| self.is_counted(held)) && messages(held) <= messages(self.abandoned)
    }

    fn is_counted(&self, held: &Held) -> bool {
        self.abandoned.iter().any(|abandoned| abandoned.is_like(held))
    }

    /// Dead letters that are too many even if nothing else were left; empty if there are none.
    fn uncounted_dead_letters(&self, held: &[Held]) -> Vec<Held> {
        let dead: Vec<Held> = held.iter().filter(|held| held.is_dead()).cloned().collect();
        if self.excuses(&dead) { Vec::new() } else { dead }
    }

    /// What is left in all, and row by row, with how fast it becomes less.
    fn with_speeds(&mut self, now: Duration, all_told: bool, held: &[Held]) -> (Option<String>, Vec<String>) {
        if !all_told {
            self.history.clear();
        }
        if held.is_empty() {
            return (None, Vec::new());
        }
        self.history.push_back((now, held.iter().map(|held| (held.key(), held.row.messages)).collect()));
        if self.history.len() > SPEED_OVER {
            self.history.pop_front();
        }
        let earliest = self.history.front();
        let speed = |count: &dyn Fn(&BTreeMap<Key, u64>) -> u64, left: u64| {
            earliest.and_then(|(then, before)| Speed::of(count(before), left, now.saturating_sub(*then)))
        };
        let total = messages(held);
        let summary = match speed(&|before| before.values().sum(), total) {
            Some(speed) => {
                format!("{total} message(s) left, {}, about {}", speed.rate(), speed.time_for(total))
            }
            None => format!("{total} message(s) left"),
        };
        let table = lines(held, ["RATE", "TIME LEFT"], |held| {
            let left = held.row.messages;
            let speed = speed(&|before| before.get(&held.key()).copied().unwrap_or_default(), left);
            speed.map_or_else(|| ["-", "-"].map(str::to_owned), |speed| [speed.rate(), speed.time_for(left)])
        });
        (Some(summary), table)
    }
}

#[cfg(test)]
mod tests {
    use rocketmq::model::backlog::{Kind, Row};

    use super::*;
    use crate::steps::broker_groups::held::tests::row;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn held(rows: Vec<Row>) -> Vec<Held> {
        Held::all("b", rows)
    }

    fn unread(messages: u64) -> Row {
        row(Kind::Unread, "orders", "billing", messages)
    }

    /// A look at a master that nobody writes to.
    fn found(rows: Vec<Row>) -> Found {
        Found { broker: "b".to_owned(), held: held(rows), boot: 1, written: 9, ..Found::default() }
    }

    fn empty() -> Found {
        found(Vec::new())
    }

    /// One master's looks, 5 s apart from the start on, and when they come to an end.
    fn drained_at(abandoned: &[Held], mut look: impl FnMut(u64) -> Result<Found, WorldError>) -> Option<u64> {
        let mut ledger = Ledger::new(1, abandoned, at(60));
        (0..60)
            .map(|number| number * 5)
            .find(|second| ledger.judge(at(*second), vec![look(*second)]) == Verdict::Drained)
    }

    #[test]
    fn an_empty_broker_is_drained_when_nobody_wrote_for_two_route_periods() {
        assert_eq!(drained_at(&[], |_| Ok(empty())), Some(60));
        assert_eq!(drained_at(&[], |second| Ok(Found { written: second.min(20), ..empty() })), Some(80));
        assert_eq!(drained_at(&[], |second| Ok(Found { written: second, ..empty() })), None);
    }

    #[test]
    fn two_looks_in_a_row_find_nothing() {
        let until = |end: u64| move |second: u64| Ok(found(vec![unread(if second < end { 3 } else { 0 })]));
        assert_eq!(drained_at(&[], until(30)), Some(60));
        assert_eq!(drained_at(&[], until(100)), Some(105));
        let now_and_then = |second: u64| Ok(found(vec![unread(second / 5 % 2)]));
        assert_eq!(drained_at(&[], now_and_then), None);
        for kind in [Kind::Retry, Kind::Delayed, Kind::Timer, Kind::Half, Kind::Pop, Kind::Lmq] {
            assert_eq!(drained_at(&[], |_| Ok(found(vec![row(kind, "t", "", 1)]))), None, "{kind:?}");
        }
        assert_eq!(drained_at(&[], |_| Ok(found(vec![row(Kind::Broadcast, "t", "g", 0)]))), Some(60));
    }

    #[test]
    fn a_broker_that_does_not_tell_everything_is_not_drained() {
        let unknown = || Found { unknown: vec!["`b` does not tell x".to_owned()], ..empty() };
        assert_eq!(drained_at(&[], |_| Ok(unknown())), None);
        assert_eq!(drained_at(&[], |second| Ok(if second < 90 { unknown() } else { empty() })), Some(95));
        let silent = || Err(WorldError::new("no route"));
        assert_eq!(drained_at(&[], |_| silent()), None);
        // It was silent, but nobody wrote to it: its process and the ends of its queues say so.
        assert_eq!(drained_at(&[], |second| if second == 55 { silent() } else { Ok(empty()) }), Some(65));
    }

    #[test]
    fn a_broker_that_was_started_anew_or_opened_is_counted_from_the_start() {
        let restarted = |second: u64| {
            Ok(Found { boot: if second < 50 { 1 } else { 2 }, closed_again: second == 50, ..empty() })
        };
        assert_eq!(drained_at(&[], restarted), Some(110));
        assert_eq!(drained_at(&[], |second| Ok(Found { closed_again: second <= 10, ..empty() })), Some(70));
    }

    #[test]
    fn only_what_was_counted_is_left_behind() {
        let abandoned = held(vec![unread(5), row(Kind::DeadLetter, "%DLQ%g", "g", 2)]);
        let left = |messages| move |_| Ok(found(vec![unread(messages)]));
        assert_eq!(drained_at(&abandoned, left(5)), Some(60));
        assert_eq!(drained_at(&abandoned, left(7)), Some(60), "as many as were counted in all");
        assert_eq!(drained_at(&abandoned, left(8)), None);
        assert_eq!(
            drained_at(&abandoned, |_| Ok(found(vec![row(Kind::Unread, "orders", "audit", 1)]))),
            None
        );
        assert_eq!(drained_at(&abandoned, |_| Ok(empty())), Some(60));
    }

    #[test]
    fn dead_letters_that_nobody_counted_are_told_at_once() {
        let dead = |messages| row(Kind::DeadLetter, "%DLQ%g", "g", messages);
        let mut ledger = Ledger::new(1, &[], at(60));
        let look = Ok(found(vec![dead(1), unread(1)]));
        assert_eq!(ledger.judge(at(0), vec![look]), Verdict::Never(held(vec![dead(1)])));
        let abandoned = held(vec![dead(2)]);
        assert_eq!(drained_at(&abandoned, |_| Ok(found(vec![dead(2)]))), Some(60));
        let mut ledger = Ledger::new(1, &abandoned, at(60));
        assert_eq!(ledger.judge(at(0), vec![Ok(found(vec![dead(3)]))]), Verdict::Never(held(vec![dead(3)])));
    }

    #[test]
    fn each_row_is_told_with_speed_and_time() {
        let mut ledger = Ledger::new(1, &[], at(60));
        let mut told = |second: u64, billing: u64, audit: u64| {
            let of_billing = Row { clients: vec!["c1@10.0.0.7:50122".to_owned()], ..unread(billing) };
            let of_audit = row(Kind::Unread, "orders", "audit", audit);
            match ledger.judge(at(second), vec![Ok(found(vec![of_billing, of_audit]))]) {
                Verdict::NotYet(left) => left.table.join("\n"),
                other => panic!("{other:?}"),
            }
        };
        assert!(told(0, 900, 7).contains("900     -     -"));
        insta::assert_snapshot!(told(10, 400, 7), @r"
        BROKER  KIND    TOPIC   GROUP    UNREAD  RATE  TIME LEFT  CLIENTS
        b       unread  orders  billing  400     50/s  8s         c1@10.0.0.7:50122
        b       unread  orders  audit    7       -     -          -
        ");
        assert_eq!(told(15, 0, 0), "", "nothing is left; one more look");
    }

    #[test]
    fn what_is_left_is_told_with_speed_and_time() {
        let mut ledger = Ledger::new(2, &[], at(60));
        let mut told = |second: u64, messages: u64| {
            let looks =
                vec![Ok(found(vec![unread(messages)])), Ok(Found { broker: "c".to_owned(), ..empty() })];
            match ledger.judge(at(second), looks) {
                Verdict::NotYet(left) => (left.summary.unwrap_or_default(), left.reasons),
                other => panic!("{other:?}"),
            }
        };
        let quiet = |seconds: u64| {
            ["b", "c"]
                .map(|broker| format!("`{broker}` must have no new message for {seconds}s more"))
                .to_vec()
        };
        assert_eq!(told(0, 900), ("900 message(s) left".to_owned(), quiet(60)));
        assert_eq!(told(5, 800), ("800 message(s) left, 20/s, about 40s".to_owned(), quiet(55)));
        assert_eq!(told(10, 890), ("890 message(s) left, 1/s, about 890s".to_owned(), quiet(50)));
        assert_eq!(told(60, 895), ("895 message(s) left, 5/min, about 10740s".to_owned(), Vec::new()));
        assert_eq!(told(65, 0), (String::new(), vec!["nothing is left; one more look".to_owned()]));
    }
}
