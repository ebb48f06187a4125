//! Scales of broker groups that are refused, and leave everything as it is.

use crate::e2e::audit::Audit;
use crate::e2e::clusters;
use crate::e2e::says::says;
use crate::e2e::scene::Scene;
use crate::error::Result;

/// Demands that a scale of broker groups is refused with this message, and that the plugin writes nothing.
///
/// # Errors
/// When it ends otherwise.
pub fn refused(scene: &Scene, what: &str, flags: &[&str], code: i32, message: &str) -> Result<()> {
    scene.step(what);
    let audit = Audit::begin(&scene.kubectl)?;
    let mut arguments = vec!["scale", "broker", clusters::BROKER, "-y"];
    arguments.extend(flags);
    let ended = scene.kubectl.rocketmq(&arguments)?.expect_code(code)?;
    says(&scene.kubectl, what, &ended, message)?;
    audit.nothing_was_written()
}
