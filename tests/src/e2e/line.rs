//! The line between the plugin and the API server, which a test can hold and cut. Bytes go through a port of this machine
//! as they are, and a copy of the kubeconfig names that port; so it is the plugin's own connections that break, at a
//! moment that is counted in bytes.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::e2e::kubectl::Kubectl;
use crate::e2e::scene::Scene;
use crate::error::{Context, LabError, Result};
use crate::wait::{self, Look};

/// Bytes that are handed on at once.
const PIECE: usize = 64 << 10;

/// A line. Ends with its test.
#[derive(Debug)]
pub struct Line {
    kubectl: Kubectl,
    here: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    over: bool,
    /// A connection that has carried so many bytes is held.
    hold_at: Option<u64>,
    connections: BTreeMap<u64, Connection>,
    opened: u64,
}

#[derive(Debug)]
struct Connection {
    ends: [TcpStream; 2],
    /// Since the last call of [`Line::hold_at`], both ways together.
    carried: u64,
    held: bool,
}

impl Line {
    /// A line to the API server that the scene's kubeconfig names.
    ///
    /// # Errors
    /// When the kubeconfig names no address, or no port can be opened.
    pub fn open(scene: &Scene) -> Result<Self> {
        let kubeconfig = scene.kubectl.kubeconfig();
        let text = std::fs::read_to_string(kubeconfig)
            .context(|| format!("cannot read {}", kubeconfig.display()))?;
        let server = server(&text)
            .ok_or_else(|| LabError::new(format!("{} names no https://IP:PORT", kubeconfig.display())))?;
        let unopened = || "cannot open a port of this machine";
        let listener = TcpListener::bind(("127.0.0.1", 0)).context(unopened)?;
        let here = listener.local_addr().context(unopened)?;
        let copy = scene.file("line.kubeconfig", &text.replace(&server.to_string(), &here.to_string()))?;
        let shared = Arc::new(Shared::default());
        {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                for client in listener.incoming().map_while(std::result::Result::ok) {
                    if shared.state().over {
                        return;
                    }
                    // A client whose connection is dropped here sees a server that is down.
                    if let Ok(server) = TcpStream::connect(server) {
                        shared.carry(client, server);
                    }
                }
            });
        }
        Ok(Self { kubectl: scene.kubectl.through(copy.into()), here, shared })
    }

    /// `kubectl` and the plugin at the other end of the line.
    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// From now on, holds each connection that carries so many bytes. They are counted from now on.
    pub fn hold_at(&self, bytes: u64) {
        let mut state = self.shared.state();
        state.hold_at = Some(bytes);
        state.connections.values_mut().for_each(|connection| connection.carried = 0);
    }

    /// Waits until a connection is held.
    ///
    /// # Errors
    /// When none is within `deadline`.
    pub fn await_held(&self, deadline: Duration) -> Result<()> {
        wait::until("a connection that has carried enough to be held", deadline, || {
            let state = self.shared.state();
            if state.connections.values().any(|connection| connection.held) {
                return Look::Ready(());
            }
            let most = state.connections.values().map(|connection| connection.carried).max();
            Look::NotYet(format!("the most is {} bytes", most.unwrap_or_default()))
        })
    }

    /// Cuts the connections that are held. Others go on, and new ones may be made.
    pub fn cut(&self) {
        let mut state = self.shared.state();
        state.connections.retain(|_, connection| {
            if connection.held {
                connection.close();
            }
            !connection.held
        });
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Lets everything go on, and holds nothing any more.
    pub fn let_go(&self) {
        let mut state = self.shared.state();
        state.hold_at = None;
        state.connections.values_mut().for_each(|connection| connection.held = false);
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.over = true;
        std::mem::take(&mut state.connections).values().for_each(Connection::close);
        drop(state);
        self.shared.changed.notify_all();
        // Wakes the thread that waits for clients.
        let _ = TcpStream::connect(self.here);
    }
}

impl Connection {
    fn close(&self) {
        for end in &self.ends {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands on both ways what comes, in threads that end with the connection.
    fn carry(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        let (Ok(from_client), Ok(from_server)) = (client.try_clone(), server.try_clone()) else { return };
        let (Ok(to_server), Ok(to_client)) = (server.try_clone(), client.try_clone()) else { return };
        let id = {
            let mut state = self.state();
            state.opened += 1;
            let id = state.opened;
            state.connections.insert(id, Connection { ends: [client, server], carried: 0, held: false });
            id
        };
        for (from, to) in [(from_client, to_server), (from_server, to_client)] {
            let shared = Arc::clone(self);
            std::thread::spawn(move || shared.copy(id, from, to));
        }
    }

    fn copy(&self, id: u64, mut from: TcpStream, mut to: TcpStream) {
        let mut piece = vec![0; PIECE];
        loop {
            match from.read(&mut piece) {
                Ok(0) | Err(_) => break,
                Ok(count) if self.passes(id, count) && to.write_all(&piece[..count]).is_ok() => {}
                Ok(_) => break,
            }
        }
        // Each of the two ways ends the other: no protocol of Kubernetes uses half a connection.
        if let Some(connection) = self.state().connections.remove(&id) {
            connection.close();
        }
    }

    /// Waits while the connection is held; false once it is cut.
    fn passes(&self, id: u64, count: usize) -> bool {
        let mut state = self.state();
        let hold_at = state.hold_at;
        let Some(connection) = state.connections.get_mut(&id) else { return false };
        connection.carried += count as u64;
        connection.held |= hold_at.is_some_and(|bytes| connection.carried >= bytes);
        let is_held =
            |state: &mut State| state.connections.get(&id).is_some_and(|connection| connection.held);
        let state = self.changed.wait_while(state, is_held).unwrap_or_else(PoisonError::into_inner);
        state.connections.contains_key(&id)
    }
}

/// Where a kubeconfig's API server listens.
fn server(kubeconfig: &str) -> Option<SocketAddr> {
    let line = kubeconfig.lines().find_map(|line| line.trim().strip_prefix("server: https://"))?;
    line.trim_end_matches('/').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pair of ends with a line between them.
    fn ends(shared: &Arc<Shared>) -> (TcpStream, TcpStream) {
        let pair = || {
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (near, listener.accept().unwrap().0)
        };
        let ((client, near), (far, server)) = (pair(), pair());
        shared.carry(near, far);
        (client, server)
    }

    fn line() -> Line {
        let kubectl = Kubectl::with_plugin(
            &crate::home::Home::at("cache".into()),
            "kubeconfig".into(),
            "plugin".into(),
            "line",
        );
        let here = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        Line { kubectl: kubectl.unwrap(), here, shared: Arc::new(Shared::default()) }
    }

    #[test]
    fn a_held_connection_goes_on_where_it_was_when_it_is_let_go() {
        let line = line();
        let (mut client, mut server) = ends(&line.shared);
        line.hold_at(4);
        client.write_all(b"abcd").unwrap();
        line.await_held(Duration::from_secs(10)).unwrap();
        line.let_go();
        client.write_all(b"efgh").unwrap();
        let mut read = [0; 8];
        server.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"abcdefgh");
        server.write_all(b"back").unwrap();
        client.read_exact(&mut read[..4]).unwrap();
        assert_eq!(&read[..4], b"back");
    }

    #[test]
    fn a_cut_ends_what_is_held_and_nothing_else() {
        let line = line();
        let ((mut one, mut other), (mut client, mut server)) = (ends(&line.shared), ends(&line.shared));
        line.hold_at(4);
        client.write_all(b"abcd").unwrap();
        line.await_held(Duration::from_secs(10)).unwrap();
        line.cut();
        let mut rest = Vec::new();
        // Nothing of what was held has come through.
        assert!(matches!(server.read_to_end(&mut rest), Ok(0) | Err(_)), "{rest:?}");
        one.write_all(b"abc").unwrap();
        let mut read = [0; 3];
        other.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"abc");
    }

    #[test]
    fn the_servers_address_is_replaced() {
        let text = "clusters:\n- cluster:\n    server: https://127.0.0.1:16443\n  name: lab\n";
        assert_eq!(server(text), Some(SocketAddr::from(([127, 0, 0, 1], 16443))));
        assert_eq!(server("clusters: []\n"), None);
    }
}
