//! A way to a store that can lead to another one, be cut, or be long.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Where it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leads {
    To(SocketAddr),
    /// Answers come so much later.
    After(Duration, SocketAddr),
    /// What is sent is lost, as on a dropped route: connections are taken and stay open, and silent.
    Nowhere,
}

/// A port that leads to a store.
#[derive(Debug)]
pub(super) struct Way {
    port: u16,
    leads: watch::Sender<Leads>,
}

impl Way {
    pub(super) async fn to(store: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (leads_tx, leads_rx) = watch::channel(Leads::To(store));
        tokio::spawn(async move {
            while let Ok((here, _)) = listener.accept().await {
                tokio::spawn(carry(here, leads_rx.clone()));
            }
        });
        Self { port, leads: leads_tx }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// It leads there from now on. Connections that led to another store break then; to nowhere, they are silent first.
    pub(super) fn now(&self, leads: Leads) {
        self.leads.send_replace(leads);
    }
}

impl Leads {
    fn store(self) -> Option<SocketAddr> {
        match self {
            Self::To(store) | Self::After(_, store) => Some(store),
            Self::Nowhere => None,
        }
    }

    fn late(self) -> Duration {
        match self {
            Self::After(late, _) => late,
            Self::To(_) | Self::Nowhere => Duration::ZERO,
        }
    }
}

async fn carry(here: TcpStream, leads: watch::Receiver<Leads>) {
    let (mut questions, mut asker) = here.into_split();
    let mut moved = leads.clone();
    let store = leads.borrow().store();
    if let Some(store) = store {
        let Ok(there) = TcpStream::connect(store).await else { return };
        let (mut replies, mut answerer) = there.into_split();
        tokio::select! {
            _ = tokio::io::copy(&mut questions, &mut answerer) => return,
            () = answers(&mut replies, &mut asker, &leads) => return,
            _ = moved.wait_for(|leads| leads.store() != Some(store)) => {}
        }
    }
    // Open, and silent, until the way leads somewhere again.
    let _over = moved.wait_for(|leads| leads.store().is_some()).await.is_err();
}

async fn answers(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, leads: &watch::Receiver<Leads>) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        let late = leads.borrow().late();
        tokio::time::sleep(late).await;
        if to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}
