//! The configuration files of the components, rendered from the lab's folders.

use std::path::{Path, PathBuf};

use crate::cluster::{NODE_ADDRESS, REGISTRY};
use crate::error::Result;
use crate::home::{self, Home, MACHINE};

pub(super) const ETCD_PORT: u16 = 12379;
pub(super) const SECURE_PORT: u16 = 16443;
pub(super) const KUBELET_PORT: u16 = 11250;
/// The bridge that carries pods, and the name of the CNI network, which stands in the comment of each of its NAT rules.
pub(super) const POD_LINK: &str = "labpods";
pub(super) const POD_NETWORK: &str = "kubectl-rocketmq-lab";

pub(super) fn containerd_path(home: &Home) -> PathBuf {
    home.config().join("containerd.toml")
}

pub(super) fn kubelet_path(home: &Home) -> PathBuf {
    home.config().join("kubelet.yaml")
}

pub(super) fn audit_policy_path(home: &Home) -> PathBuf {
    home.config().join("audit-policy.yaml")
}

/// containerd's state and socket; the path of a socket may not be long.
pub(super) fn containerd_state() -> PathBuf {
    Path::new(MACHINE).join("containerd")
}

/// Unpacked images and containers.
pub(super) fn containerd_root(home: &Home) -> PathBuf {
    home.run().join("containerd")
}

/// Writes every configuration file.
///
/// # Errors
/// When one cannot be written.
pub(super) fn write(home: &Home) -> Result<()> {
    for (path, content) in files(home) {
        if let Some(folder) = path.parent() {
            home::make_folder(folder)?;
        }
        home::write_file(&path, content)?;
    }
    Ok(())
}

/// Every configuration file and its content.
pub(super) fn files(home: &Home) -> Vec<(PathBuf, String)> {
    vec![
        (home.kubeconfig(), kubeconfig(home)),
        (containerd_path(home), containerd(home)),
        (home.config().join("cni/10-lab.conflist"), pod_network(home)),
        (home.config().join("certs.d/docker.io/hosts.toml"), registry_host()),
        (kubelet_path(home), kubelet(home)),
        (audit_policy_path(home), AUDIT_POLICY.to_owned()),
    ]
}

/// Who wrote what, without contents; reads, and what every cluster writes by itself all the time, are left out.
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  resources:
  - group: \"\"
    resources: [events, pods/exec, pods/attach, pods/portforward]
  - group: events.k8s.io
  - group: authentication.k8s.io
  - group: authorization.k8s.io
- level: None
  namespaces: [kube-node-lease, kube-system]
- level: Metadata
  verbs: [create, update, patch, delete, deletecollection]
- level: None
";

fn kubeconfig(home: &Home) -> String {
    let pki = home.pki();
    let pki = pki.display();
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: lab
  cluster:
    server: https://127.0.0.1:{SECURE_PORT}
    certificate-authority: {pki}/ca.crt
users:
- name: admin
  user:
    client-certificate: {pki}/admin.crt
    client-key: {pki}/admin.key
contexts:
- name: lab
  context:
    cluster: lab
    user: admin
current-context: lab
"
    )
}

/// `restrict_oom_score_adj`: without CAP_SYS_RESOURCE runc cannot lower the score, and every sandbox dies with "can't get
/// final child's PID". Network namespaces lie below the state folder so that leftovers are known as the lab's.
fn containerd(home: &Home) -> String {
    let root = containerd_root(home);
    let state = containerd_state();
    let config = home.config();
    let (root, state, config) = (root.display(), state.display(), config.display());
    format!(
        r#"version = 2
root = "{root}"
state = "{state}"
[grpc]
  address = "{state}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{root}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{config}/certs.d"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{config}/cni"
"#,
        pause = crate::images::PAUSE,
    )
}

fn pod_network(home: &Home) -> String {
    let leases = home.run().join("cni");
    let network = serde_json::json!({
        "cniVersion": "0.4.0",
        "name": POD_NETWORK,
        "plugins": [
            {
                "type": "bridge",
                "bridge": POD_LINK,
                "isGateway": true,
                "ipMasq": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{ "subnet": "10.244.0.0/24" }]],
                    "routes": [{ "dst": "0.0.0.0/0" }],
                    "dataDir": leases,
                },
            },
            { "type": "portmap", "capabilities": { "portMappings": true } },
        ],
    });
    format!("{network:#}\n")
}

/// The registry stands in for docker.io, so that `imagePullPolicy: Always` and a missing image behave as elsewhere.
fn registry_host() -> String {
    format!(
        "server = \"http://{REGISTRY}\"\n[host.\"http://{REGISTRY}\"]\n  capabilities = [\"pull\", \"resolve\"]\n"
    )
}

/// `cgroupfs` and `failCgroupV1: false`: the machine may have cgroup v1 hierarchies and no systemd.
/// No evictions: a full disk of the machine should fail the test that filled it, not every pod.
fn kubelet(home: &Home) -> String {
    let ca = home.pki().join("ca.crt");
    let socket = containerd_state().join("containerd.sock");
    format!(
        "apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {{anonymous: {{enabled: false}}, webhook: {{enabled: false}}, x509: {{clientCAFile: {ca}}}}}
authorization: {{mode: AlwaysAllow}}
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
containerRuntimeEndpoint: unix://{socket}
clusterDNS: [{NODE_ADDRESS}]
clusterDomain: cluster.local
evictionHard: {{memory.available: 0%, nodefs.available: 0%, imagefs.available: 0%}}
localStorageCapacityIsolation: false
imageGCHighThresholdPercent: 100
enforceNodeAllocatable: []
port: {KUBELET_PORT}
readOnlyPort: 0
healthzPort: 0
maxPods: 250
",
        ca = ca.display(),
        socket = socket.display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> Home {
        Home::at("/cache".into())
    }

    #[test]
    fn containerd_keeps_all_of_its_state_in_the_labs_folders() {
        let text = containerd(&home());
        for line in [
            "root = \"/cache/run/containerd\"",
            "state = \"/run/kubectl-rocketmq-lab/containerd\"",
            "conf_dir = \"/cache/config/cni\"",
            "netns_mounts_under_state_dir = true",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn the_pod_network_is_json_with_the_labs_name() {
        let network: serde_json::Value = serde_json::from_str(&pod_network(&home())).unwrap();
        assert_eq!(network["name"], POD_NETWORK);
        assert_eq!(network["plugins"][0]["ipam"]["dataDir"], "/cache/run/cni");
    }

    #[test]
    fn the_kubelet_asks_the_labs_dns() {
        let text = kubelet(&home());
        assert!(text.contains("clusterDNS: [10.254.0.1]"), "{text}");
        assert!(text.contains("x509: {clientCAFile: /cache/pki/ca.crt}"), "{text}");
    }

    #[test]
    fn the_audit_policy_logs_writes_alone() {
        let (_, policy) =
            files(&home()).into_iter().find(|(path, _)| path.ends_with("audit-policy.yaml")).unwrap();
        let logged: Vec<&str> = policy.split("- level: ").skip(1).collect();
        let levels: Vec<&str> = logged.iter().filter_map(|rule| rule.lines().next()).collect();
        assert_eq!(levels, ["None", "None", "Metadata", "None"]);
        assert!(logged[2].contains("verbs: [create, update, patch, delete, deletecollection]"), "{policy}");
        assert!(!policy.contains('\\'), "{policy}");
    }

    #[test]
    fn files_lie_where_components_look_for_them() {
        let paths: Vec<PathBuf> = files(&home()).into_iter().map(|(path, _)| path).collect();
        assert!(paths.contains(&"/cache/config/certs.d/docker.io/hosts.toml".into()));
        assert!(paths.contains(&"/cache/kubeconfig".into()));
    }
}
