//! What a client of [`crate::e2e::traffic`] sends and receives.

use crate::e2e::traffic::TOPICS;

/// Topics, and what happens to their messages.
#[derive(Debug, Clone)]
pub struct Load {
    /// The topics that are sent to, in turn, and received from.
    pub topics: Vec<String>,
    /// The group that receives and counts; one of the run's own unless it is named.
    pub group: Option<String>,
    /// What that group subscribes to, such as `TagA||TagB`. Messages have one of these tags or another one, which must
    /// not arrive.
    pub tags: Option<&'static str>,
    /// So many of a hundred messages are refused when they arrive first, and come again.
    pub retry_percent: u32,
    /// One of the topics, whose messages are delayed by 10 s.
    pub delayed_topic: Option<String>,
    /// More groups, which only read.
    pub readers: Vec<Reader>,
    /// The brokers of whose queues [`crate::e2e::traffic::Traffic::lowest`] tells.
    pub lowest_at: Vec<String>,
    /// How often a send is repeated that a broker refused because it was busy.
    pub busy_retries: u32,
    /// Ask for routes, send heartbeats and take queues each second, not each 20 or 30 s: for clients that begin before their
    /// name server does, and for those that must notice each gap.
    pub quick: bool,
}

/// A group that reads, and whose messages are not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// Its name.
    pub group: String,
    /// What it reads.
    pub topics: Vec<String>,
}

impl Default for Load {
    /// Plain messages on [`TOPICS`].
    fn default() -> Self {
        Self {
            topics: TOPICS.map(str::to_owned).to_vec(),
            group: None,
            tags: None,
            retry_percent: 0,
            delayed_topic: None,
            readers: Vec::new(),
            lowest_at: Vec::new(),
            busy_retries: 0,
            quick: false,
        }
    }
}

impl Load {
    /// The client's arguments, quoted for a shell.
    pub(crate) fn arguments(&self) -> String {
        let readers: Vec<String> = self
            .readers
            .iter()
            .map(|reader| format!("{}:{}", reader.group, reader.topics.join("+")))
            .collect();
        let number = |value: u32| (value > 0).then(|| value.to_string());
        let list = |values: &[String]| (!values.is_empty()).then(|| values.join(","));
        [
            ("topics", list(&self.topics)),
            ("group", self.group.clone()),
            ("tags", self.tags.map(str::to_owned)),
            ("retryPercent", number(self.retry_percent)),
            ("delayedTopic", self.delayed_topic.clone()),
            ("readers", list(&readers)),
            ("lowestAt", list(&self.lowest_at)),
            ("busyRetries", number(self.busy_retries)),
            ("quick", self.quick.then(|| "true".to_owned())),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some(format!("'{key}={}'", value?)))
        .collect::<Vec<_>>()
        .join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_is_an_argument() {
        assert_eq!(Load::default().arguments(), "'topics=orders,payments,parcels'");
        let reader = |group: &str, topics: &[&str]| Reader {
            group: group.to_owned(),
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        };
        let load = Load {
            topics: vec!["a".to_owned(), "b".to_owned()],
            group: Some("g".to_owned()),
            tags: Some("TagA||TagB"),
            retry_percent: 5,
            delayed_topic: Some("b".to_owned()),
            readers: vec![reader("r", &["a", "b"]), reader("s", &["a"])],
            lowest_at: vec!["broker-2".to_owned()],
            busy_retries: 3,
            quick: true,
        };
        assert_eq!(
            load.arguments(),
            "'topics=a,b' 'group=g' 'tags=TagA||TagB' 'retryPercent=5' 'delayedTopic=b' 'readers=r:a+b,s:a' \
             'lowestAt=broker-2' 'busyRetries=3' 'quick=true'"
        );
    }
}
