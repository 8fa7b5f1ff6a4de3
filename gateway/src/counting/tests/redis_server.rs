//! Real stores of the tests' own.

use std::net::TcpListener;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

#[path = "../../../../e2e/redis/program.rs"]
mod program;

use program::Engine;

/// A Redis or a Valkey on a free port of loopback; it is killed when this is dropped.
#[derive(Debug)]
pub(super) struct RedisServer {
    child: Child,
    port: u16,
}

impl RedisServer {
    /// Starts one of each kind, one after the other, and tries it. Where there is none, it is said loudly what was not run.
    pub(super) fn each(mut tried: impl FnMut(&Arc<Self>)) {
        for engine in Engine::ALL {
            if let Some(server) = Self::start(engine) {
                tried(&server);
            }
        }
    }

    fn start(engine: Engine) -> Option<Arc<Self>> {
        // Another process may take the port in between; then the server ends, and the next one is tried.
        for _ in 0..10 {
            let port = free_port();
            let child = engine.command(port, "counters in a shared store")?.spawn().unwrap();
            if let Some(server) = (Self { child, port }).until_there() {
                return Some(Arc::new(server));
            }
        }
        panic!("{engine:?} does not start")
    }

    fn until_there(mut self) -> Option<Self> {
        while self.child.try_wait().unwrap().is_none() {
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return Some(self);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}
