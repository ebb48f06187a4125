use std::io::Read as _;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::*;
use crate::metadata::ustar::{BLOCK, Block, padding};
use crate::metadata::{Entry, Subscription};
use crate::model::version::Version;

fn origin() -> Origin {
    Origin { cluster: "demo".to_owned(), broker_name: "demo-0".to_owned(), version: Version::V5_3_3 }
}

fn metadata() -> Metadata {
    let mut metadata = Metadata::default();
    for topic in ["orders", "payments"] {
        metadata
            .insert(Entry::Topic(serde_json::from_value(json!({"topicName": topic, "perm": 4})).unwrap()));
    }
    let group = json!({"groupName": "billing", "retryMaxTimes": 3});
    metadata.insert(Entry::Group("billing".to_owned(), group.as_object().cloned().unwrap()));
    metadata.insert(Entry::Offsets(Subscription::to_retries_of("billing"), [(0, 0)].into()));
    metadata
}

fn bundle() -> Vec<u8> {
    let mut out = Vec::new();
    let sum = write(&mut out, &metadata(), &origin(), 7).unwrap();
    assert_eq!(sum.bytes, out.len() as u64);
    out
}

/// An archive in the making, as somebody might make it who means no good.
#[derive(Clone)]
struct Archive {
    entries: Vec<(Block, Vec<u8>)>,
    end: Vec<u8>,
}

impl Archive {
    /// The entries of [`bundle`].
    fn good() -> Self {
        let bytes = bundle();
        let mut entries = Vec::new();
        let mut rest = bytes.as_slice();
        while let Ok(header) = ustar::read(rest.first_chunk().unwrap()) {
            let (block, after) = rest.split_at(BLOCK);
            let (content, after) = after.split_at(header.length as usize);
            entries.push((block.try_into().unwrap(), content.to_vec()));
            rest = &after[padding(header.length) as usize..];
        }
        Self { entries, end: vec![0; 2 * BLOCK] }
    }

    /// The same with another manifest; lengths and digests are those of the entries unless it says otherwise.
    fn with_manifest(mut self, change: impl FnOnce(&mut Value)) -> Self {
        let mut manifest: Value = serde_json::from_slice(&self.entries[0].1).unwrap();
        change(&mut manifest);
        let text = manifest.to_string().into_bytes();
        self.entries[0] = (header(MANIFEST_FILE, text.len() as u64), text);
        self
    }

    /// The same with another file of this name, which the manifest knows.
    fn with_file(mut self, name: &str, content: &[u8]) -> Self {
        let at = self.at(name);
        self.entries[at] = (header(name, content.len() as u64), content.to_vec());
        let mut summing = Summing::new(content);
        io::copy(&mut summing, &mut io::sink()).unwrap();
        let sha256 = HEXLOWER.encode(&summing.finish().1.sha256);
        self.with_manifest(|manifest| {
            manifest["files"][at - 1]["length"] = json!(content.len());
            manifest["files"][at - 1]["sha256"] = json!(sha256);
        })
    }

    fn with_entry(mut self, header: Block, content: &[u8]) -> Self {
        self.entries.push((header, content.to_vec()));
        self
    }

    /// The same with another header of a file, its checksum made right again.
    fn with_header(mut self, name: &str, change: impl FnOnce(&mut Block)) -> Self {
        let at = self.at(name);
        change(&mut self.entries[at].0);
        seal(&mut self.entries[at].0);
        self
    }

    fn at(&self, name: &str) -> usize {
        self.entries.iter().position(|(header, _)| header.starts_with(name.as_bytes())).unwrap()
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (header, content) in &self.entries {
            bytes.extend_from_slice(header);
            bytes.extend_from_slice(content);
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        }
        bytes.extend_from_slice(&self.end);
        bytes
    }
}

/// Makes the checksum of a header right.
fn seal(header: &mut Block) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// A header with any name.
fn header(name: &str, length: u64) -> Block {
    let mut header = *ustar::header("x", length).unwrap().as_bytes();
    header[0] = 0;
    header[..name.len()].copy_from_slice(name.as_bytes());
    seal(&mut header);
    header
}

/// A header of another kind, as `tar` makes it.
fn header_of_kind(name: &str, kind: u8) -> Block {
    let mut header = header(name, 0);
    header[156] = kind;
    seal(&mut header);
    header
}

fn refusal(bytes: &[u8]) -> String {
    let error = read(bytes).unwrap_err();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

#[test]
fn a_bundle_is_read_back_and_the_same_tables_make_the_same_bytes() {
    let bytes = bundle();
    let (manifest, read) = read(bytes.as_slice()).unwrap();
    assert_eq!(read, metadata());
    assert_eq!(manifest.origin(), origin());
    assert!(manifest.sanitised);
    assert_eq!(bundle(), bytes);
    assert_eq!(Archive::good().bytes(), bytes);
    let names: Vec<_> = manifest.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(
        names,
        ["topics.json", "subscriptionGroup.json", "messageRequestMode.json", "consumerOffset.json"]
    );
}

#[test]
fn format_1_stays_as_it_is() {
    // What this program wrote before it packed with the `tar` crate. The same tables must make the same bytes for good:
    // an operation that a newer version resumes tells its bundle by its SHA-256.
    let golden = include_bytes!("../../../tests/golden/bundle-1.tar");
    let (manifest, tables) = read(&golden[..]).unwrap();
    assert_eq!((manifest.origin(), tables), (origin(), metadata()));
    assert!(bundle() == golden, "a bundle is written differently");
}

#[test]
fn a_bundle_of_4_x_has_no_request_modes() {
    let mut bytes = Vec::new();
    let origin = Origin { version: Version::V4_5_0, ..origin() };
    write(&mut bytes, &metadata(), &origin, 7).unwrap();
    let (manifest, read) = read(bytes.as_slice()).unwrap();
    assert_eq!((manifest.files.len(), read), (3, metadata()));
}

#[test]
fn what_a_broker_makes_for_itself_marks_a_bundle_as_not_sanitised() {
    let mut all = metadata();
    all.insert(Entry::Topic(serde_json::from_value(json!({"topicName": "TBW102"})).unwrap()));
    let mut bytes = Vec::new();
    write(&mut bytes, &all, &origin(), 7).unwrap();
    let (manifest, read) = read(bytes.as_slice()).unwrap();
    assert_eq!((manifest.sanitised, &read), (false, &all));
    let (sanitised, ordered) = read.sanitised(&origin(), false);
    assert_eq!((sanitised, ordered), (metadata(), vec![]));
}

#[test]
fn what_other_programs_pack_without_extensions_is_read() {
    // GNU tar with `--format=ustar`: times, owners, their names, modes, device numbers, a NUL as kind, and zeros up to
    // its blocking factor.
    let good = Archive::good();
    let mut packed = good.clone();
    for (header, _) in &mut packed.entries {
        header[100..108].copy_from_slice(b"0104755\0");
        header[108..116].copy_from_slice(b"0001750\0");
        header[136..148].copy_from_slice(b"14712345670\0");
        header[156] = 0;
        header[265..269].copy_from_slice(b"user");
        header[329..337].copy_from_slice(b"0000000\0");
        seal(header);
    }
    packed.end = vec![0; 10_240];
    assert_eq!(read(packed.bytes().as_slice()).unwrap(), read(good.bytes().as_slice()).unwrap());

    // bsdtar with `--format=ustar` ends sizes and times with a blank; the `tar` crate and others write the checksum in seven
    // digits.
    let mut packed = good.clone();
    for (header, _) in &mut packed.entries {
        header[135] = b' ';
        header[147] = b' ';
        let mut sealed = tar::Header::from_byte_slice(header.as_slice()).clone();
        sealed.set_cksum();
        *header = *sealed.as_bytes();
    }
    assert_ne!(packed.bytes(), good.bytes());
    assert_eq!(read(packed.bytes().as_slice()).unwrap(), read(good.bytes().as_slice()).unwrap());
}

#[test]
fn everything_else_is_refused_with_its_reason() {
    let good = Archive::good();
    let extra =
        |name: &str, content: &[u8]| good.clone().with_entry(header(name, content.len() as u64), content);
    let of_kind = |kind: u8| good.clone().with_entry(header_of_kind("topics.json", kind), b"");
    let with_end = |end: Vec<u8>| Archive { end, ..good.clone() };
    let no_manifest = Archive { entries: good.entries[1..].to_vec(), ..good.clone() };
    let without = |name: &str| {
        let mut archive = good.clone();
        archive.entries.remove(archive.at(name));
        archive
    };
    let topics = |text: &str| good.clone().with_file("topics.json", text.as_bytes());
    let mut padded = good.bytes();
    let first_padding = BLOCK + good.entries[0].1.len();
    padded[first_padding] = 1;
    let mut damaged = good.bytes();
    damaged[0] ^= 1;
    let hidden = format!("{:010o}\0x", good.entries[1].1.len());
    let mut signed = good.bytes();
    signed[148] = b'+';
    let mut flipped = good.clone();
    flipped.entries[1].1[60] ^= 1;
    let regular = "only regular files are taken";
    for (bytes, expected) in [
        (Vec::new(), "bundle is cut off: it ends in the middle".to_owned()),
        (vec![0; 1024], "bundle has no manifest.json".to_owned()),
        (b"PK\x03\x04".repeat(1000), "it is no bundle of metadata, or was packed again by another program: no ustar header where one should be".to_owned()),
        (signed, "bundle is damaged: the checksum of a header is wrong".to_owned()),
        (damaged, "bundle is damaged: the checksum of a header is wrong".to_owned()),
        (good.clone().with_header("topics.json", |header| header[257..265].copy_from_slice(b"ustar  \0")).bytes(), "it is no bundle of metadata, or was packed again by another program: no ustar header where one should be".to_owned()),
        (of_kind(b'1').bytes(), format!("bundle has `topics.json`, which is a hard link; {regular}")),
        (of_kind(b'2').bytes(), format!("bundle has `topics.json`, which is a symbolic link; {regular}")),
        (of_kind(b'3').bytes(), format!("bundle has `topics.json`, which is a device; {regular}")),
        (of_kind(b'4').bytes(), format!("bundle has `topics.json`, which is a device; {regular}")),
        (of_kind(b'5').bytes(), format!("bundle has `topics.json`, which is a folder; {regular}")),
        (of_kind(b'6').bytes(), format!("bundle has `topics.json`, which is a pipe; {regular}")),
        (of_kind(b'7').bytes(), format!("bundle has `topics.json`, which is of an unknown kind; {regular}")),
        (of_kind(b'x').bytes(), format!("bundle has `topics.json`, which is a PAX extension; {regular}")),
        (of_kind(b'g').bytes(), format!("bundle has `topics.json`, which is a PAX extension; {regular}")),
        (of_kind(b'L').bytes(), format!("bundle has `topics.json`, which is a GNU extension for long names; {regular}")),
        (of_kind(b'K').bytes(), format!("bundle has `topics.json`, which is a GNU extension for long names; {regular}")),
        (of_kind(b'S').bytes(), format!("bundle has `topics.json`, which is a sparse file; {regular}")),
        (extra("../topics.json", b"").bytes(), "bundle has `../topics.json`, which is no file of a bundle".to_owned()),
        (extra("/etc/passwd", b"").bytes(), "bundle has `/etc/passwd`, which is no file of a bundle".to_owned()),
        (extra("./topics.json", b"").bytes(), "bundle has `./topics.json`, which is no file of a bundle".to_owned()),
        (extra("Topics.json", b"").bytes(), "bundle has `Topics.json`, which is no file of a bundle".to_owned()),
        (extra("topics.json.bak", b"").bytes(), "bundle has `topics.json.bak`, which is no file of a bundle".to_owned()),
        (extra("", b"").bytes(), "bundle has ``, which is no file of a bundle".to_owned()),
        (extra("a\u{1b}[2J", b"").bytes(), "bundle has `a\\u{1b}[2J`, which is no file of a bundle".to_owned()),
        (extra("topics.json", b"{}").bytes(), "bundle has topics.json twice".to_owned()),
        (extra("manifest.json", b"{}").bytes(), "bundle has manifest.json twice".to_owned()),
        (no_manifest.bytes(), "bundle begins with `topics.json` instead of manifest.json".to_owned()),
        (good.clone().with_header("topics.json", |header| header[345] = b'/').bytes(), "bundle has a header with a malformed prefix".to_owned()),
        (good.clone().with_header("topics.json", |header| header[157] = b'x').bytes(), "bundle has a header with a malformed link name".to_owned()),
        (good.clone().with_header("topics.json", |header| header[158] = b'x').bytes(), "bundle has a header with a malformed link name".to_owned()),
        (good.clone().with_header("topics.json", |header| header[499] = b'x').bytes(), "bundle has a header with a malformed prefix".to_owned()),
        (good.clone().with_header("topics.json", |header| header[20] = b'x').bytes(), "bundle has a header with a malformed name".to_owned()),
        (good.clone().with_header("topics.json", |header| header[0] = 0xff).bytes(), "bundle has a header with a malformed name".to_owned()),
        (good.clone().with_header("topics.json", |header| header[124..136].copy_from_slice(b"\x80\0\0\0\0\0\0\0\0\0\x01\0")).bytes(), "bundle has a header with a malformed size".to_owned()),
        (good.clone().with_header("topics.json", |header| header[124..136].copy_from_slice(b"-0000000001\0")).bytes(), "bundle has a header with a malformed size".to_owned()),
        (good.clone().with_header("topics.json", |header| header[124..136].copy_from_slice(hidden.as_bytes())).bytes(), "bundle has a header with a malformed size".to_owned()),
        (good.clone().with_header("topics.json", |header| header[124] = b'+').bytes(), "bundle has a header with a malformed size".to_owned()),
        (good.clone().with_header("topics.json", |header| header[124] = b' ').bytes(), "bundle has a header with a malformed size".to_owned()),
        (good.clone().with_header("topics.json", |header| header[124..136].fill(0)).bytes(), "bundle has a header with a malformed size".to_owned()),
        (good.clone().with_header("topics.json", |header| header[124..136].copy_from_slice(b"0000000001 1")).bytes(), "bundle has a header with a malformed size".to_owned()),
        (good.clone().with_header("topics.json", |header| header[124..136].copy_from_slice(b"77777777777\0")).bytes(), "topics.json in the bundle has 8589934591 bytes, 67108864 are allowed".to_owned()),
        (good.clone().with_header("manifest.json", |header| header[124..136].copy_from_slice(b"00001000000\0")).bytes(), "manifest.json in the bundle has 262144 bytes, 65536 are allowed".to_owned()),
        (good.clone().with_header("topics.json", |header| header[124..136].copy_from_slice(b"00000000001\0")).bytes(), format!("topics.json in the bundle has 1 bytes, its manifest says {}", good.entries[1].1.len())),
        (good.bytes()[..700].to_vec(), "bundle is cut off: it ends in the middle".to_owned()),
        (good.bytes()[..BLOCK * 3 + 10].to_vec(), "bundle is cut off: it ends in the middle".to_owned()),
        (with_end(Vec::new()).bytes(), "bundle is cut off: it ends in the middle".to_owned()),
        (with_end(vec![0; BLOCK]).bytes(), "bundle is cut off: it ends in the middle".to_owned()),
        (with_end([vec![0; BLOCK], header("topics.json", 0).to_vec()].concat()).bytes(), "bundle has hidden bytes at its end".to_owned()),
        (with_end([vec![0; 2 * BLOCK], b"x".to_vec()].concat()).bytes(), "bundle has hidden bytes after its end".to_owned()),
        (with_end([vec![0; 2 * BLOCK], good.bytes()].concat()).bytes(), "bundle has hidden bytes after its end".to_owned()),
        (with_end(vec![0; (1 << 20) + 3 * BLOCK]).bytes(), "bundle has hidden bytes after its end".to_owned()),
        (padded, "bundle has hidden bytes between its files".to_owned()),
        (flipped.bytes(), "bundle is damaged: topics.json has another SHA-256 than its manifest says".to_owned()),
        (without("consumerOffset.json").bytes(), "bundle has no consumerOffset.json".to_owned()),
        (without("messageRequestMode.json").bytes(), "bundle has no messageRequestMode.json".to_owned()),
        (good.clone().with_manifest(|manifest| manifest["format"] = json!(2)).bytes(), "bundle has format 2; this version reads format 1".to_owned()),
        (good.clone().with_manifest(|manifest| *manifest = json!([])).bytes(), "manifest.json of the bundle cannot be read: invalid length 0, expected struct Format with 1 element at line 1 column 2".to_owned()),
        (good.clone().with_manifest(|manifest| manifest["more"] = json!(1)).bytes(), "manifest.json of the bundle cannot be read: unknown field `more`".to_owned()),
        (good.clone().with_manifest(|manifest| manifest["brokerName"] = json!("a\nb")).bytes(), "manifest.json of the bundle cannot be read: its brokerName is no name".to_owned()),
        (good.clone().with_manifest(|manifest| manifest["files"][0]["name"] = json!("../x")).bytes(), "manifest.json of the bundle cannot be read: it names `../x`, which is no file of a bundle".to_owned()),
        (good.clone().with_manifest(|manifest| manifest["files"][0]["name"] = json!("consumerOffset.json")).bytes(), "manifest.json of the bundle cannot be read: it names consumerOffset.json twice".to_owned()),
        (good.clone().with_manifest(|manifest| manifest["files"][0]["length"] = json!(1_u64 << 40)).bytes(), "manifest.json of the bundle cannot be read: it says that topics.json has 1099511627776 bytes, 67108864 are allowed".to_owned()),
        (good.clone().with_manifest(|manifest| manifest["files"][0]["sha256"] = json!("00")).bytes(), "manifest.json of the bundle cannot be read: the sha256 of topics.json is none".to_owned()),
        (good.clone().with_manifest(|manifest| drop(manifest["files"].as_array_mut().unwrap().remove(0))).bytes(), "bundle has no topics.json".to_owned()),
        (good.clone().with_manifest(|manifest| drop(manifest["files"].as_array_mut().unwrap().remove(2))).bytes(), "bundle has messageRequestMode.json, which its manifest does not name".to_owned()),
        (topics("{").bytes(), "topics.json is not what RocketMQ writes: EOF while parsing an object at line 1 column 1".to_owned()),
        (topics(r#"{"topicConfigTable":{"TBW102":{"topicName":"TBW102"}}}"#).bytes(), "topics.json has an entry that is not allowed: topic `TBW102` is one that a broker makes for itself".to_owned()),
        (topics(r#"{"topicConfigTable":{"a/b":{"topicName":"a/b"}}}"#).bytes(), "topics.json has an entry that is not allowed: `a/b` is not a valid topic name: `/` is not allowed, only letters, digits and _-%|".to_owned()),
    ] {
        let refused = refusal(&bytes);
        assert!(refused.starts_with(&expected), "expected: {expected}\nfound: {refused}");
    }
}

#[test]
fn every_cut_is_noticed() {
    let bytes = bundle();
    for length in 0..bytes.len() {
        assert!(matches!(read(&bytes[..length]), Err(BundleError::Truncated)), "{length}");
    }
}

#[test]
fn a_total_limit_holds() {
    let bytes = bundle();
    let reading = |total_bytes: usize| {
        let limits = Limits { total_bytes: total_bytes as u64, ..Limits::default() };
        read_entries(bytes.as_slice(), &limits, |_, _, _| Ok::<_, BundleError>(()))
    };
    assert!(reading(bytes.len()).is_ok());
    assert!(matches!(reading(bytes.len() - 1), Err(BundleError::TooLarge(_))));
}

#[test]
fn endless_input_is_given_up() {
    let bytes = bundle();
    let endless = bytes.as_slice().chain(io::repeat(0));
    assert!(matches!(read(endless), Err(BundleError::Hidden(_))));
}

#[test]
fn an_error_of_the_visitor_is_told_as_it_is_and_a_cut_goes_before_it() {
    let bytes = bundle();
    let visit = |bytes: &[u8]| {
        read_entries(bytes, &Limits::default(), |_, _, content| {
            let read = content.read_to_end(&mut Vec::new());
            Err::<(), _>(BundleError::Name(format!("{read:?}")))
        })
    };
    assert!(matches!(visit(&bytes), Err(BundleError::Name(_))));
    assert!(matches!(visit(&bytes[..3 * BLOCK]), Err(BundleError::Truncated)));
}

#[test]
fn a_writer_keeps_to_its_manifest() {
    let files = [(Table::Topics, Sum { bytes: 2, sha256: [0; 32] })];
    let manifest = Manifest::new(&origin(), true, &files);
    let writer = || BundleWriter::new(Vec::new(), &manifest).unwrap();
    assert_eq!(
        writer().file(Table::Groups, &b"{}"[..]).unwrap_err().to_string(),
        "subscriptionGroup.json is not the next file of the manifest"
    );
    for content in ["{", "{}}"] {
        assert_eq!(
            writer().file(Table::Topics, content.as_bytes()).unwrap_err().to_string(),
            "topics.json has not the 2 bytes that the manifest says"
        );
    }
    assert_eq!(writer().finish().unwrap_err().to_string(), "topics.json is missing");
    let mut writer = writer();
    writer.file(Table::Topics, &b"{}"[..]).unwrap();
    assert_eq!(writer.finish().unwrap().0.len() % BLOCK, 0);
}

#[test]
fn a_bundle_that_was_given_up_is_not_read() {
    // `tar::Builder` writes the end of an archive when it is dropped.
    let (manifest, _) = read(bundle().as_slice()).unwrap();
    let mut begun = Vec::new();
    drop(BundleWriter::new(&mut begun, &manifest).unwrap());
    assert_eq!(refusal(&begun), "bundle has no topics.json");
    let mut short = Vec::new();
    BundleWriter::new(&mut short, &manifest).unwrap().file(Table::Topics, io::empty()).unwrap_err();
    assert_eq!(refusal(&short), "bundle is damaged: topics.json has another SHA-256 than its manifest says");
}
