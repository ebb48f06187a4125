//! The programs that make up the lab and their arguments. Pure: what is started is a value.

use crate::cluster::configuration::{self as files, ETCD_PORT, SECURE_PORT};
use crate::cluster::{NODE_ADDRESS, REGISTRY};
use crate::home::Home;
use crate::process::Component;

const ETCD_PEER_PORT: u16 = 12380;

/// The fixed addresses on which the lab listens, with who does.
pub(super) fn addresses() -> Vec<(&'static str, String)> {
    vec![
        ("etcd", format!("127.0.0.1:{ETCD_PORT}")),
        ("etcd", format!("127.0.0.1:{ETCD_PEER_PORT}")),
        ("registry", REGISTRY.to_owned()),
        ("apiserver", format!("127.0.0.1:{SECURE_PORT}")),
        ("kubelet", format!("0.0.0.0:{}", files::KUBELET_PORT)),
        ("dns", format!("{NODE_ADDRESS}:53")),
    ]
}

/// Every component, in the order of their start.
pub(super) fn all(home: &Home) -> Vec<Component> {
    vec![
        etcd(home),
        registry(home),
        containerd(home),
        api_server(home),
        controller_manager(home),
        scheduler(home),
        kubelet(home),
        dns(home),
    ]
}

pub(super) fn etcd(home: &Home) -> Component {
    let client = format!("http://127.0.0.1:{ETCD_PORT}");
    let peer = format!("http://127.0.0.1:{ETCD_PEER_PORT}");
    Component {
        name: "etcd",
        program: "etcd".into(),
        arguments: vec![
            "--name=lab".to_owned(),
            format!("--data-dir={}", home.run().join("etcd").display()),
            // The data does not outlive the lab, and syncing it would slow every test.
            "--unsafe-no-fsync".to_owned(),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=lab={peer}"),
        ],
    }
}

pub(super) fn registry(home: &Home) -> Component {
    Component {
        name: "registry",
        program: home.bin().join("labregistry"),
        arguments: vec![REGISTRY.to_owned(), home.registry().display().to_string()],
    }
}

pub(super) fn containerd(home: &Home) -> Component {
    Component {
        name: "containerd",
        program: "containerd".into(),
        arguments: vec![format!("--config={}", files::containerd_path(home).display())],
    }
}

pub(super) fn api_server(home: &Home) -> Component {
    let pki = |file: &str| home.pki().join(file).display().to_string();
    kubernetes(
        home,
        "apiserver",
        "kube-apiserver",
        vec![
            format!("--etcd-servers=http://127.0.0.1:{ETCD_PORT}"),
            format!("--secure-port={SECURE_PORT}"),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--client-ca-file={}", pki("ca.crt")),
            format!("--tls-cert-file={}", pki("apiserver.crt")),
            format!("--tls-private-key-file={}", pki("apiserver.key")),
            format!("--service-account-key-file={}", pki("sa.pub")),
            format!("--service-account-signing-key-file={}", pki("sa.key")),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--kubelet-client-certificate={}", pki("admin.crt")),
            format!("--kubelet-client-key={}", pki("admin.key")),
            "--kubelet-preferred-address-types=InternalIP".to_owned(),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            "--allow-privileged=true".to_owned(),
            format!("--audit-policy-file={}", files::audit_policy_path(home).display()),
            format!("--audit-log-path={}", home.audit().join("audit.log").display()),
            // In MiB: a run of every test writes about as much as one of these files.
            "--audit-log-maxsize=32".to_owned(),
            "--audit-log-maxbackup=4".to_owned(),
        ],
    )
}

pub(super) fn controller_manager(home: &Home) -> Component {
    kubernetes(
        home,
        "controller-manager",
        "kube-controller-manager",
        vec![
            format!("--kubeconfig={}", home.kubeconfig().display()),
            format!("--root-ca-file={}", home.pki().join("ca.crt").display()),
            format!("--service-account-private-key-file={}", home.pki().join("sa.key").display()),
            "--leader-elect=false".to_owned(),
            "--secure-port=0".to_owned(),
        ],
    )
}

pub(super) fn scheduler(home: &Home) -> Component {
    kubernetes(
        home,
        "scheduler",
        "kube-scheduler",
        vec![
            format!("--kubeconfig={}", home.kubeconfig().display()),
            "--leader-elect=false".to_owned(),
            "--secure-port=0".to_owned(),
        ],
    )
}

pub(super) fn kubelet(home: &Home) -> Component {
    kubernetes(
        home,
        "kubelet",
        "kubelet",
        vec![
            format!("--config={}", files::kubelet_path(home).display()),
            format!("--kubeconfig={}", home.kubeconfig().display()),
            "--hostname-override=lab".to_owned(),
            format!("--root-dir={}", home.run().join("kubelet").display()),
            format!("--node-ip={NODE_ADDRESS}"),
        ],
    )
}

pub(super) fn dns(home: &Home) -> Component {
    kubernetes(
        home,
        "dns",
        "dns",
        vec![format!("--kubeconfig={}", home.kubeconfig().display()), format!("--listen={NODE_ADDRESS}:53")],
    )
}

/// Kubernetes and its DNS are one program that takes the component as its first argument.
fn kubernetes(home: &Home, name: &'static str, component: &str, arguments: Vec<String>) -> Component {
    let arguments = std::iter::once(component.to_owned()).chain(arguments).collect();
    Component { name, program: home.bin().join("kubelab"), arguments }
}
