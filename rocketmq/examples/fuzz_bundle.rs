//! Reads damaged bundles for a while: `fuzz_bundle SECONDS [SEED]`.
//!
//! Each round takes a valid bundle with random tables, changes it as somebody would who knows the format (bytes, blocks,
//! headers with their checksums made right, text within files with digests made right), and reads it. Reading must end
//! in tables or in an error, never in a panic; and tables that were read must, written again, read the same.
//!
//! No cargo-fuzz: it wants a nightly compiler and a C++ one. Coverage is worth less here than edits that keep checksums
//! right, without which nothing gets past the first block.

#![expect(clippy::disallowed_methods, reason = "it runs for a while")]

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use rocketmq::metadata::bundle::{self, BundleError};
use rocketmq::metadata::{Entry, Metadata, Origin, Subscription};
use rocketmq::model::version::Version;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const BLOCK: usize = 512;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().ok_or("usage: fuzz_bundle SECONDS [SEED]")?.parse()?;
    let seed = arguments.next().map_or(Ok(1), |seed| seed.parse())?;
    let mut random = Random(seed);
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut rounds, mut accepted) = (0_u64, 0_u64);
    let mut refusals: BTreeMap<String, u64> = BTreeMap::new();
    while Instant::now() < end {
        let mut bytes = valid(&mut random)?;
        for _ in 0..random.below(4) {
            change(&mut bytes, &mut random);
        }
        rounds += 1;
        match bundle::read(bytes.as_slice()) {
            Ok((manifest, tables)) => {
                accepted += 1;
                check_written_again(&manifest.origin(), &tables)
                    .map_err(|error| format!("round {rounds} of seed {seed}: {error}"))?;
            }
            Err(error) => *refusals.entry(kind_of(&error)).or_default() += 1,
        }
    }
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "seed {seed}: {rounds} bundles, {accepted} read and written back equal, the rest refused:"
    )?;
    for (kind, count) in refusals {
        writeln!(out, "{count:>10}  {kind}")?;
    }
    Ok(())
}

/// The name of an error's variant.
fn kind_of(error: &BundleError) -> String {
    let text = format!("{error:?}");
    let names: Vec<_> = text.split(['(', '{', ' ']).filter(|name| !name.is_empty()).take(2).collect();
    if names.first() == Some(&"File") { names.join(" ") } else { names[0].to_owned() }
}

fn check_written_again(origin: &Origin, tables: &Metadata) -> Result<(), Box<dyn Error>> {
    let mut written = Vec::new();
    bundle::write(&mut written, tables, origin, 7)?;
    let (manifest, again) = bundle::read(written.as_slice())?;
    let mut twice = Vec::new();
    bundle::write(&mut twice, &again, &manifest.origin(), 7)?;
    if again != *tables || manifest.origin() != *origin || twice != written {
        return Err("what was read is not what was written back".into());
    }
    Ok(())
}

/// A bundle with a few entries of each kind.
fn valid(random: &mut Random) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut tables = Metadata::default();
    for _ in 0..random.below(4) {
        let (topic, group) = (random.name(), random.name());
        tables.insert(Entry::Topic(serde_json::from_value(json!({
            "topicName": topic, "perm": random.below(8), "readQueueNums": random.below(20), "attributes": {"a": "b"},
        }))?));
        let config = json!({"groupName": group, "retryMaxTimes": random.below(20)});
        tables.insert(Entry::Group(group.clone(), config.as_object().cloned().unwrap_or_default()));
        tables.insert(Entry::Forbidden(group.clone(), json!({ topic.clone(): 4 })));
        let subscription = Subscription { topic, group };
        let mode = json!({"topic": subscription.topic, "consumerGroup": subscription.group, "mode": "POP"});
        tables
            .insert(Entry::RequestMode(subscription.clone(), mode.as_object().cloned().unwrap_or_default()));
        tables.insert(Entry::Offsets(subscription, [(0, 0), (1, random.below(100) as i64)].into()));
    }
    let version = if random.below(2) == 0 { Version::V4_5_0 } else { Version::V5_3_3 };
    let origin = Origin { cluster: "demo".to_owned(), broker_name: "demo-0".to_owned(), version };
    let mut bytes = Vec::new();
    bundle::write(&mut bytes, &tables, &origin, 7)?;
    Ok(bytes)
}

fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    if bytes.len() < BLOCK {
        return;
    }
    match random.below(8) {
        0 => {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
        }
        1 => bytes.truncate(random.below(bytes.len())),
        2 => {
            let from = random.below(bytes.len() / BLOCK) * BLOCK;
            let block = bytes[from..from + BLOCK].to_vec();
            let to = random.below(bytes.len() / BLOCK + 1) * BLOCK;
            bytes.splice(to..to, block);
        }
        3 => {
            let from = random.below(bytes.len() / BLOCK) * BLOCK;
            bytes.drain(from..from + BLOCK);
        }
        4 | 5 => change_header(bytes, random),
        _ => change_file(bytes, random),
    }
}

/// Where the headers of the entries are, with the lengths of what follows.
fn headers(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(block) = bytes.get(at..at + BLOCK) {
        let text = String::from_utf8_lossy(&block[124..135]).into_owned();
        let Ok(length) = usize::from_str_radix(&text, 8) else { break };
        if block[0] == 0 || at + BLOCK + length > bytes.len() {
            break;
        }
        found.push((at, length));
        at += BLOCK + length.next_multiple_of(BLOCK);
    }
    found
}

/// Changes a field of a header and makes its checksum right again.
fn change_header(bytes: &mut [u8], random: &mut Random) {
    let headers = headers(bytes);
    if headers.is_empty() {
        return;
    }
    let (at, _) = headers[random.below(headers.len())];
    let block = &mut bytes[at..at + BLOCK];
    match random.below(4) {
        0 => block[random.below(100)] = random.byte(),
        1 => block[156] = b"01234567xgLKS\0"[random.below(14)],
        2 => block[124 + random.below(12)] = b"01234567 \0\x80-+"[random.below(13)],
        _ => block[random.below(BLOCK)] = random.byte(),
    }
    seal(block);
}

fn seal(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Changes the text of a file; mostly without a change of its length, and mostly with its digest made right in the
/// manifest, so that the text itself is what is read.
fn change_file(bytes: &mut [u8], random: &mut Random) {
    let headers = headers(bytes);
    if headers.len() < 2 {
        return;
    }
    let number = 1 + random.below(headers.len() - 1);
    let (at, length) = headers[number];
    let content = at + BLOCK..at + BLOCK + length;
    for _ in 0..=random.below(3) {
        let place = content.start + random.below(length.max(1));
        if place < content.end {
            bytes[place] =
                if random.below(2) == 0 { random.byte() } else { b"{}[]:,\"\\0-9@%"[random.below(13)] };
        }
    }
    let digest = HEXLOWER.encode(&Sha256::digest(&bytes[content]));
    let manifest = headers[0].0 + BLOCK..headers[0].0 + BLOCK + headers[0].1;
    let Ok(mut text) = serde_json::from_slice::<Value>(&bytes[manifest.clone()]) else { return };
    if let Some(file) = text.get_mut("files").and_then(|files| files.get_mut(number - 1)) {
        file["sha256"] = Value::String(digest);
    }
    let text = text.to_string();
    if text.len() == manifest.len() {
        bytes[manifest].copy_from_slice(text.as_bytes());
    }
}

/// xorshift64*: the same seed makes the same rounds.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 11) as usize % limit.max(1)
    }

    fn byte(&mut self) -> u8 {
        (self.next() >> 32) as u8
    }

    fn name(&mut self) -> String {
        let letters = b"abcXYZ019_-%|";
        (0..=self.below(6)).map(|_| char::from(letters[self.below(letters.len())])).collect()
    }
}
