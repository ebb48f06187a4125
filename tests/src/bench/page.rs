//! What was measured, as tables for people.

use crate::bench::measure::Measured;

/// The operator hands a broker's file over as one argument of a command, and Linux takes no longer one
/// (`MAX_ARG_STRLEN`, 32 pages).
const OPERATORS_LIMIT_BYTES: u64 = 128 << 10;

/// What a byte may take, in seconds.
const AIM_BYTES_PER_SECOND: f64 = 100e6;

const MEGABYTE: f64 = 1e6;
const MEBIBYTE: f64 = 1_048_576.0;

/// The title of its section.
pub(super) const TITLE: &str = "Metadata of a large broker, brought to a new one";

const ABOUT: &str = "Written by `cargo lab bench metadata`, which measures it again: a real broker with nearly as many topics as a registration can \
carry, and `kubectl rocketmq scale broker broker --size 2`. Everything runs on one machine: Kubernetes, the name server, both \
brokers, the plugin. All rows are of one run.

- Export: from when `kubectl rocketmq metadata export` was typed until its file was there. The plugin's start and its \
connections are part of it.
- Transport, in the scale: from when the source's agent had the bundle until the new one's agent had its last byte, through the \
plugin and two port-forwards.
- Import: verified, unpacked, made durable, renamed into the store.
- Broker start: from then until the new broker is listed.
- Memory is what the kernel says each agent's process had at most while the scale ran.
- Name servers 1 -> 3 is a scale of its own, after that. Each broker's agent stands in for its broker at both new name servers, \
with the whole table; an agent may have 256 MiB.
- The operator copies a broker's files by one command line, and Linux takes 131,072 bytes in one argument.
- `mqadmin updateTopic` starts a JVM for each topic. It was measured on the same broker, as long as that was empty, by a loop in \
the name server's pod.

";

/// As a section of the page.
pub(super) fn section(measured: &Measured) -> String {
    format!("{ABOUT}{}", tables(measured))
}

/// Its tables.
pub(super) fn tables(measured: &Measured) -> String {
    let Measured { version, at, processors, topics, groups, .. } = measured;
    let Measured { bundle_bytes, topic_bytes, group_bytes, .. } = measured;
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / MEGABYTE);
    let rate = |seconds: f64| format!("{:.0} MB/s", *bundle_bytes as f64 / MEGABYTE / seconds.max(1e-3));
    let mebibytes = |bytes: u64| format!("{:.1} MiB at most", bytes as f64 / MEBIBYTE);
    let by_transport = measured.transport + measured.import;
    let over = by_transport - *bundle_bytes as f64 / AIM_BYTES_PER_SECOND;
    let each = measured.sample_took / f64::from(measured.sample);
    let all = each * *topics as f64;
    let fit = OPERATORS_LIMIT_BYTES * *topics as u64 / (*topic_bytes).max(1);
    let rows = [
        (
            "bundle".to_owned(),
            megabytes(*bundle_bytes),
            format!("topics {}, groups {}", megabytes(*topic_bytes), megabytes(*group_bytes)),
        ),
        ("export".to_owned(), took(measured.export), rate(measured.export)),
        ("transport".to_owned(), took(measured.transport), rate(measured.transport)),
        ("import".to_owned(), took(measured.import), rate(measured.import)),
        (
            "transport and import over the bytes at 100 MB/s".to_owned(),
            took(over),
            "the aim is 1 s at most".to_owned(),
        ),
        ("broker start".to_owned(), took(measured.broker_start), "listed, with all of it".to_owned()),
        ("all of `scale broker`".to_owned(), took(measured.scale), String::new()),
        ("agent of the source".to_owned(), mebibytes(measured.source_peak_bytes), String::new()),
        ("agent of the new broker".to_owned(), mebibytes(measured.target_peak_bytes), String::new()),
        (
            "`scale nameservice` 1 -> 3 with both brokers".to_owned(),
            took(measured.name_servers),
            format!("agents {}", mebibytes(measured.bridging_peak_bytes)),
        ),
        (
            "the operator's way".to_owned(),
            format!("{fit} topics at most"),
            format!("1/{:.0} of these", *topics as f64 / fit.max(1) as f64),
        ),
        (
            format!("`mqadmin updateTopic`, {} of {topics} topics", measured.sample),
            took(measured.sample_took),
            format!(
                "{} each, {:.1} h for all: {:.0} times export, transport and import",
                took(each),
                all / 3600.0,
                all / (measured.export + by_transport).max(1e-3)
            ),
        ),
    ];
    let mut text = format!(
        "RocketMQ {version}, {topics} topics and {groups} subscription groups, {processors} processors, {}\n\n\
         | part | measured | |\n|---|---|---|\n",
        at.strftime("%Y-%m-%d")
    );
    for (part, value, beside) in rows {
        text.push_str(&format!("| {part} | {value} | {beside} |\n"));
    }
    text.push_str("\n| step of the scale | took |\n|---|---|\n");
    for step in &measured.steps {
        text.push_str(&format!("| {} | {} |\n", step.step, took(step.took)));
    }
    text
}

fn took(seconds: f64) -> String {
    format!("{seconds:.2} s")
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::bench::measure::StepTook;

    #[test]
    fn a_measurement_is_shown_beside_the_other_ways() {
        let measured = Measured {
            version: "5.3.3",
            at: "2026-11-25T05:00:00Z".parse().unwrap(),
            processors: 2,
            topics: 80_000,
            groups: 20_000,
            bundle_bytes: 24_000_000,
            topic_bytes: 15_600_000,
            group_bytes: 8_020_000,
            export: 2.0,
            transport: 0.6,
            import: 0.4,
            broker_start: 12.0,
            scale: 61.0,
            steps: vec![StepTook { step: "import-metadata".to_owned(), took: 6.0 }],
            source_peak_bytes: 30 << 20,
            target_peak_bytes: 14 << 20,
            name_servers: 50.0,
            bridging_peak_bytes: 140 << 20,
            sample: 20,
            sample_took: 60.0,
        };
        assert_snapshot!(tables(&measured), @r"
        RocketMQ 5.3.3, 80000 topics and 20000 subscription groups, 2 processors, 2026-11-25

        | part | measured | |
        |---|---|---|
        | bundle | 24.0 MB | topics 15.6 MB, groups 8.0 MB |
        | export | 2.00 s | 12 MB/s |
        | transport | 0.60 s | 40 MB/s |
        | import | 0.40 s | 60 MB/s |
        | transport and import over the bytes at 100 MB/s | 0.76 s | the aim is 1 s at most |
        | broker start | 12.00 s | listed, with all of it |
        | all of `scale broker` | 61.00 s |  |
        | agent of the source | 30.0 MiB at most |  |
        | agent of the new broker | 14.0 MiB at most |  |
        | `scale nameservice` 1 -> 3 with both brokers | 50.00 s | agents 140.0 MiB at most |
        | the operator's way | 672 topics at most | 1/119 of these |
        | `mqadmin updateTopic`, 20 of 80000 topics | 60.00 s | 3.00 s each, 66.7 h for all: 80000 times export, transport and import |

        | step of the scale | took |
        |---|---|
        | import-metadata | 6.00 s |
        ");
    }
}
