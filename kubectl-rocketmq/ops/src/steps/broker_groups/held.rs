//! What somebody still wants of leaving brokers, as rows of one table. Pure.

use rocketmq::model::backlog::{Kind, Row};
use rocketmq::text::printable;
use serde::{Deserialize, Serialize};

/// Whoever reads a table cannot do more with a longer one.
const MOST_ROWS: usize = 30;

/// Broker group, kind, topic and consumer group of a row.
pub(crate) type Key = (String, Kind, String, String);

/// Messages of one broker that somebody still wants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Held {
    /// The broker group.
    pub broker: String,
    /// Which messages.
    #[serde(flatten)]
    pub row: Row,
}

impl Held {
    /// The rows of a broker that are about messages. What a broadcast group has read nobody knows but its members.
    pub(crate) fn all(broker: &str, rows: Vec<Row>) -> Vec<Self> {
        let wanted = rows.into_iter().filter(|row| row.messages > 0 && row.kind != Kind::Broadcast);
        wanted.map(|row| Self { broker: broker.to_owned(), row }).collect()
    }

    /// True if waiting does not help: nobody is there to consume them.
    pub(crate) fn stays(&self) -> bool {
        self.row.offline || self.is_dead()
    }

    /// True of dead letters.
    pub(crate) fn is_dead(&self) -> bool {
        self.row.kind == Kind::DeadLetter
    }

    /// What tells it from the other rows of a look.
    pub(crate) fn key(&self) -> Key {
        (self.broker.clone(), self.row.kind, self.row.topic.clone(), self.row.group.clone())
    }

    /// True if another row is about the same messages, how many there may be by now.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.key() == other.key()
    }

    /// For a line of several: `unread of orders by billing: 12 (id@10.0.0.7:50122)`.
    pub(crate) fn words(&self) -> String {
        let Row { kind, topic, group, messages, .. } = &self.row;
        let by = if group.is_empty() { String::new() } else { format!(" by {}", printable(group)) };
        format!("{} of {}{by}: {messages} ({})", kind.word(), printable(topic), self.whose())
    }

    /// Who could consume them.
    fn whose(&self) -> String {
        let Row { offline, clients, detail, .. } = &self.row;
        let clients = if *offline { "offline".to_owned() } else { clients.join(", ") };
        let parts = [clients, detail.clone()];
        let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        if parts.is_empty() { "-".to_owned() } else { printable(&parts.join("; ")).into_owned() }
    }
}

/// How many messages these are.
pub(crate) fn messages(held: &[Held]) -> u64 {
    held.iter().fold(0, |sum, held| sum.saturating_add(held.row.messages))
}

/// The largest first.
pub(crate) fn largest(held: &[Held]) -> Vec<&Held> {
    let mut rows: Vec<&Held> = held.iter().collect();
    rows.sort_by(|one, other| other.row.messages.cmp(&one.row.messages).then_with(|| one.cmp(other)));
    rows
}

/// A table for people, the largest rows first.
pub(crate) fn table(held: &[Held]) -> String {
    lines(held, [], |_| []).join("\n")
}

/// The lines of such a table, its head first, with further columns.
pub(crate) fn lines<const N: usize>(
    held: &[Held],
    heads: [&str; N],
    cells: impl Fn(&Held) -> [String; N],
) -> Vec<String> {
    let line = |of: [String; 5], further: [String; N], last: String| -> Vec<String> {
        of.into_iter().chain(further).chain([last]).collect()
    };
    let head = ["BROKER", "KIND", "TOPIC", "GROUP", "UNREAD"].map(str::to_owned);
    let mut lines = vec![line(head, heads.map(str::to_owned), "CLIENTS".to_owned())];
    let rows = largest(held);
    lines.extend(rows.iter().take(MOST_ROWS).map(|held| {
        let Row { kind, topic, group, messages, .. } = &held.row;
        let group = if group.is_empty() { "-" } else { group };
        let of = [
            held.broker.clone(),
            kind.word().to_owned(),
            printable(topic).into_owned(),
            printable(group).into_owned(),
            messages.to_string(),
        ];
        line(of, cells(held), held.whose())
    }));
    let mut widths = vec![0; 6 + N];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text: Vec<String> = lines
        .iter()
        .map(|line| {
            let cells: Vec<String> =
                line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            cells.join("  ").trim_end().to_owned()
        })
        .collect();
    if let Some(rest) = rows.get(MOST_ROWS..).filter(|rest| !rest.is_empty()) {
        let messages: u64 = rest.iter().map(|held| held.row.messages).sum();
        text.push(format!("and {} more with {messages} message(s)", rest.len()));
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A row that somebody is there to read.
    pub(crate) fn row(kind: Kind, topic: &str, group: &str, messages: u64) -> Row {
        Row {
            kind,
            topic: topic.to_owned(),
            group: group.to_owned(),
            messages,
            offline: false,
            clients: Vec::new(),
            detail: String::new(),
        }
    }

    #[test]
    fn a_table_names_whoever_could_consume_and_shows_the_largest_first() {
        let client = Row {
            clients: vec!["c1@10.0.0.7:50122".to_owned()],
            detail: "no member subscribes to it".to_owned(),
            ..row(Kind::Unread, "orders", "billing", 7)
        };
        let offline = Row { offline: true, ..row(Kind::Retry, "%RETRY%audit", "audit", 37) };
        let delayed =
            Row { detail: "level 17 (1h)".to_owned(), ..row(Kind::Delayed, "SCHEDULE_TOPIC_XXXX", "", 1) };
        let forged = row(Kind::DeadLetter, "%DLQ%x\nerror: y", "x", 2);
        let broadcast = row(Kind::Broadcast, "news", "everybody", 0);
        let held = Held::all("broker-1", vec![client, offline, delayed, forged, broadcast]);
        insta::assert_snapshot!(table(&held), @r"
        BROKER    KIND         TOPIC                GROUP    UNREAD  CLIENTS
        broker-1  retry        %RETRY%audit         audit    37      offline
        broker-1  unread       orders               billing  7       c1@10.0.0.7:50122; no member subscribes to it
        broker-1  dead-letter  %DLQ%x\nerror: y     x        2       -
        broker-1  delayed      SCHEDULE_TOPIC_XXXX  -        1       level 17 (1h)
        ");
        assert_eq!(
            held[0].words(),
            "unread of orders by billing: 7 (c1@10.0.0.7:50122; no member subscribes to it)"
        );
        assert_eq!(messages(&held), 47);
        let staying: Vec<bool> = held.iter().map(Held::stays).collect();
        assert_eq!(staying, [false, true, false, true]);
    }

    #[test]
    fn a_table_has_an_end() {
        let rows = (0..40).map(|number| row(Kind::Unread, &format!("t{number:02}"), "g", 1)).collect();
        let text = table(&Held::all("b", rows));
        assert_eq!(text.lines().count(), 32);
        assert_eq!(text.lines().last(), Some("and 10 more with 10 message(s)"));
    }
}
