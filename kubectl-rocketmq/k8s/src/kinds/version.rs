//! The version of RocketMQ that an image's name tells.

use rocketmq::model::version::Version;

/// The first `x.y.z` in the tag of an image; `None` if its tag has none, or if it has no tag.
#[must_use]
pub fn version_of_image(image: &str) -> Option<Version> {
    let name = image.split('@').next().unwrap_or_default();
    // A colon before the last slash is a registry's port.
    let (_, tag) = name.rsplit('/').next()?.split_once(':')?;
    let numbers = |text: &str| {
        text.split(|c: char| !c.is_ascii_digit() && c != '.').map(str::to_owned).collect::<Vec<_>>()
    };
    numbers(tag).iter().find_map(|word| word.trim_matches('.').parse().ok())
}
