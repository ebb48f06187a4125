//! Java's options: where RocketMQ lives, and memory that fits the container.

use k8s_openapi::api::core::v1::{EnvVar, ResourceRequirements};
use serde_json::json;

use super::contract::{HOME, Role};
use crate::content;

/// The variable that the start scripts of every version append last, so that what it says wins over their presets.
const JAVA_OPT_EXT: &str = "JAVA_OPT_EXT";
/// The variable by which the operator's images take a broker's heap.
const BROKER_MEM: &str = "BROKER_MEM";
/// Where a user's own JAVA_OPT_EXT stands when its value comes from elsewhere.
const USER_JAVA_OPT_EXT: &str = "USER_JAVA_OPT_EXT";

/// Memory of a Java process. The start scripts preset all four for machines of a dozen GB, so all four are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    heap_mib: u64,
    direct_mib: u64,
}

impl Memory {
    /// What fits under a container's memory limit: half of it heap, a quarter for buffers outside of the heap, the
    /// rest for Java itself and for the page cache.
    pub(super) fn within(limit_mib: Option<u64>, role: Role) -> Self {
        let (least, unlimited) = match role {
            // 5.x brokers lose transactions silently with 128 MiB outside of the heap (seen on 5.3.3; 320 work).
            Role::Broker => {
                (Self { heap_mib: 128, direct_mib: 320 }, Self { heap_mib: 512, direct_mib: 512 })
            }
            // One registration of a broker may have 16 MiB.
            Role::NameServer => {
                (Self { heap_mib: 64, direct_mib: 64 }, Self { heap_mib: 256, direct_mib: 256 })
            }
        };
        let Some(limit_mib) = limit_mib else { return unlimited };
        Self {
            heap_mib: (limit_mib / 2).max(least.heap_mib),
            direct_mib: (limit_mib / 4).max(least.direct_mib),
        }
    }

    fn options(self) -> String {
        let Self { heap_mib, direct_mib } = self;
        let young_mib = heap_mib / 2;
        format!("-Xms{heap_mib}m -Xmx{heap_mib}m -Xmn{young_mib}m -XX:MaxDirectMemorySize={direct_mib}m")
    }
}

/// The environment of RocketMQ's container: the user's, with JAVA_OPT_EXT last: ours, then the user's BROKER_MEM, then
/// the user's JAVA_OPT_EXT, each only where there is one, because the kubelet leaves an unset name as it stands.
pub(super) fn environment(
    user: &[EnvVar],
    resources: Option<&ResourceRequirements>,
    role: Role,
) -> Vec<EnvVar> {
    let mut options =
        vec![format!("-Duser.home={HOME}"), Memory::within(limit_mib(resources), role).options()];
    if user.iter().any(|variable| variable.name == BROKER_MEM) {
        options.push(format!("$({BROKER_MEM})"));
    }
    let mut environment = Vec::new();
    for variable in user {
        match variable {
            EnvVar { name, value: Some(value), .. } if name == JAVA_OPT_EXT => options.push(value.clone()),
            EnvVar { name, value_from: Some(_), .. } if name == JAVA_OPT_EXT => {
                environment.push(EnvVar { name: USER_JAVA_OPT_EXT.to_owned(), ..variable.clone() });
                options.push(format!("$({USER_JAVA_OPT_EXT})"));
            }
            other if other.name == JAVA_OPT_EXT => {}
            other => environment.push(other.clone()),
        }
    }
    environment.push(EnvVar {
        name: JAVA_OPT_EXT.to_owned(),
        value: Some(options.join(" ")),
        ..EnvVar::default()
    });
    environment
}

/// The container's memory limit.
fn limit_mib(resources: Option<&ResourceRequirements>) -> Option<u64> {
    const THOUSANDTHS_OF_MIB: i128 = 1000 << 20;
    let limit = resources?.limits.as_ref()?.get("memory")?;
    u64::try_from(content::quantity(&json!(limit))? / THOUSANDTHS_OF_MIB).ok()
}
