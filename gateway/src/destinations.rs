//! Where the gateway connects to, and where it never does, whatever a URL or a name server says.
//!
//! A name is resolved once, all its addresses are looked at, and only those are connected to: a second answer of the name
//! server has no say. One address that is refused refuses the name.

use std::error::Error;
use std::future::{Future, Ready, ready};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::Either;
use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower_service::Service;

/// Addresses of clouds' own services that are not link-local: what answers there hands out credentials.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Which addresses may be connected to, beside public ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Destinations {
    /// Those of this very machine. In a pod they are the gateway's own ports, and those of its neighbours in the pod.
    pub loopback: bool,
    /// Those of private networks, such as a cluster's.
    pub private: bool,
}

/// The address is none that the gateway connects to. The words do not name it: they stand still while it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("gateways do not connect to {0} addresses")]
pub struct AddressRefused(&'static str);

impl Destinations {
    /// Every one that is an address of a server at all, as on somebody's own machine.
    pub const ANY: Self = Self { loopback: true, private: true };

    /// Whether an address may be connected to.
    ///
    /// # Errors
    /// It may not.
    pub fn check(self, address: IpAddr) -> Result<(), AddressRefused> {
        let address = meant(address);
        let refused = |kind| Err(AddressRefused(kind));
        if METADATA.contains(&address) {
            return refused("metadata");
        }
        match address {
            _ if address.is_unspecified() || address.is_multicast() => refused("no server's"),
            IpAddr::V4(v4) if v4.is_broadcast() || v4.octets()[0] == 0 => refused("no server's"),
            IpAddr::V4(v4) if v4.is_link_local() => refused("link-local"),
            IpAddr::V6(v6) if v6.is_unicast_link_local() => refused("link-local"),
            _ if address.is_loopback() && !self.loopback => refused("loopback"),
            IpAddr::V4(v4) if is_private(v4) && !self.private => refused("private"),
            // Unique local ones, and the site-local ones of old.
            IpAddr::V6(v6)
                if (v6.is_unique_local() || v6.segments()[0] & 0xffc0 == 0xfec0) && !self.private =>
            {
                refused("private")
            }
            _ => Ok(()),
        }
    }
}

fn is_private(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    // Between providers and their customers.
    let shared = first == 100 && second & 0xc0 == 64;
    address.is_private() || shared
}

// An address of IPv4 has several ways to be written as one of IPv6, and some of them are routed to it.
fn meant(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        // Mapped, through a translator, and through a tunnel.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => embedded(high, low),
        // The compatible ones of old, but for the unspecified and the loopback address.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => embedded(high, low),
        _ => address,
    }
}

/// Looks names up, and refuses those with an address that is refused.
#[derive(Clone, Debug)]
pub struct Names {
    names: GaiResolver,
    destinations: Destinations,
}

type Failed = Box<dyn Error + Send + Sync>;

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failed>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.names.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (resolving, destinations) = (self.names.call(name), self.destinations);
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = resolving.await?.collect();
            for address in &addresses {
                destinations.check(address.ip())?;
            }
            Ok(addresses.into_iter())
        })
    }
}

/// Connects by TCP where it may.
#[derive(Clone, Debug)]
pub struct Connector {
    tcp: HttpConnector<Names>,
    destinations: Destinations,
}

impl Connector {
    /// A connector with this deadline.
    pub fn new(destinations: Destinations, deadline: Duration) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Names { names: GaiResolver::new(), destinations });
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(deadline));
        // The scheme of TLS comes here, too.
        tcp.enforce_http(false);
        Self { tcp, destinations }
    }

    // What is written as an address is connected to without being looked up.
    fn check(&self, uri: &Uri) -> Result<(), AddressRefused> {
        let host = uri.host().unwrap_or_default();
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        bare.parse().map_or(Ok(()), |address| self.destinations.check(address))
    }
}

type Tcp = HttpConnector<Names>;

impl Service<Uri> for Connector {
    type Response = <Tcp as Service<Uri>>::Response;
    type Error = Failed;
    type Future = Either<
        Ready<Result<Self::Response, Failed>>,
        Pin<Box<dyn Future<Output = Result<Self::Response, Failed>> + Send>>,
    >;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        if let Err(refused) = self.check(&uri) {
            return Either::Left(ready(Err(refused.into())));
        }
        let connecting = self.tcp.call(uri);
        Either::Right(Box::pin(async move { Ok(connecting.await?) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: Destinations = Destinations { loopback: false, private: true };
    const STRICT: Destinations = Destinations { loopback: false, private: false };

    /// Whether each of the three lets an address through: anywhere, in a pod, in a pod of a strict platform.
    fn open(address: &str) -> [bool; 3] {
        let address = address.parse().unwrap();
        [Destinations::ANY, POD, STRICT].map(|destinations| destinations.check(address).is_ok())
    }

    #[test]
    fn what_hands_out_credentials_is_never_connected_to_however_it_is_written() {
        for address in [
            "169.254.169.254",
            "169.254.0.1",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "::ffff:0.0.0.0",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
        ] {
            assert_eq!(open(address), [false; 3], "{address}");
        }
    }

    #[test]
    fn loopback_is_of_file_mode_and_private_networks_are_the_platforms_choice() {
        for address in
            ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"]
        {
            assert_eq!(open(address), [true, false, false], "{address}");
        }
        for address in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "fc00::1",
            "fdff::1",
            "fec0::1",
            "::ffff:10.96.0.1",
            "2002:a60:1::",
        ] {
            assert_eq!(open(address), [true, true, false], "{address}");
        }
        for address in [
            "1.1.1.1",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "169.253.0.1",
            "169.255.0.1",
            "192.167.0.1",
            "2606:4700::1",
            "::ffff:1.1.1.1",
        ] {
            assert_eq!(open(address), [true; 3], "{address}");
        }
    }

    async fn connects(uri: &str) -> Result<(), Option<AddressRefused>> {
        let mut connector = Connector::new(POD, Duration::from_secs(5));
        let connected = connector.call(uri.parse().unwrap()).await;
        let refused = |error: Failed| {
            let mut sources = std::iter::successors(Some(&*error as &dyn Error), |error| (*error).source());
            sources.find_map(|error| error.downcast_ref().copied())
        };
        connected.map(|_| ()).map_err(refused)
    }

    /// The system's resolver reads all of these as 127.0.0.1, and so does whoever is asked to connect there.
    #[tokio::test]
    async fn a_name_and_every_spelling_of_an_address_is_looked_at_where_it_leads() {
        for host in [
            "localhost",
            "127.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "127.1",
        ] {
            let told = connects(&format!("http://{host}:1/mcp")).await;
            assert_eq!(told, Err(Some(AddressRefused("loopback"))), "{host}");
        }
        assert_eq!(connects("http://nobody-has-this-name.invalid/mcp").await, Err(None));
    }
}
