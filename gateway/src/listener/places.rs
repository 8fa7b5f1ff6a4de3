//! Places for connections: so many in all, and so many for each address, so that nobody takes them all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most connections at a time, unless the command line says so. More wait to be accepted.
pub const CONNECTIONS_MAX: usize = 8192;
/// The most connections of one address, unless the command line says so. One more is closed at once.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 1024;

/// Descriptors that are no connections: files, the log, the store of counters, the API server.
const DESCRIPTORS_RESERVED: u64 = 32;

/// How many connections there may be at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Of everybody.
    pub all: usize,
    /// Of one address.
    pub per_address: usize,
}

impl Caps {
    /// As many as the process has descriptors for: each connection of a client may need another one to the server.
    #[must_use]
    pub fn within(self, descriptors: u64) -> Self {
        let room = descriptors.saturating_sub(DESCRIPTORS_RESERVED) / 2;
        Self { all: usize::try_from(room).unwrap_or(usize::MAX).clamp(1, self.all), ..self }
    }
}

/// The places of one listener.
#[derive(Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    per_address: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Places {
    pub(super) fn new(caps: Caps) -> Self {
        let all = Arc::new(Semaphore::new(caps.all.min(Semaphore::MAX_PERMITS)));
        Self { all, per_address: caps.per_address, taken: Arc::default() }
    }

    /// Waits for a place of all.
    pub(super) async fn any(&self) -> OwnedSemaphorePermit {
        self.all.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    /// The place of a connection from this address, if it has not as many as it may.
    pub(super) fn of(&self, address: IpAddr, any: OwnedSemaphorePermit) -> Option<Place> {
        let address = neighbourhood(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = taken.entry(address).or_default();
        // An address that has no place has no entry either, so at least one is always free to it.
        if *of_address >= self.per_address.max(1) {
            return None;
        }
        *of_address += 1;
        Some(Place { address, taken: self.taken.clone(), _any: any })
    }
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    address: IpAddr,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
    _any: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_address) = taken.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

// Who has one address of IPv6 has the 64 bits of a whole network; one of IPv4 may be written as one of IPv6.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(places: &Places, address: &str) -> Option<Place> {
        let any = places.all.clone().try_acquire_owned().ok()?;
        places.of(address.parse().unwrap(), any)
    }

    #[test]
    fn as_many_as_there_may_be_of_an_address_and_of_all_and_one_more() {
        let places = Places::new(Caps { all: 5, per_address: 3 });
        let of_one: Vec<_> = (0..3).map(|_| take(&places, "10.0.0.1").expect("a place")).collect();
        assert!(take(&places, "10.0.0.1").is_none());
        assert!(take(&places, "::ffff:10.0.0.1").is_none(), "the same address");
        let _other = take(&places, "10.0.0.2").expect("a place of its own");
        let _last = take(&places, "2001:db8::1").expect("the last place");
        assert!(take(&places, "10.0.0.3").is_none(), "none is left");
        drop(of_one);
        assert!(take(&places, "10.0.0.1").is_some());
        assert_eq!(places.taken.lock().unwrap().len(), 2, "who has none is forgotten");
    }

    #[test]
    fn an_address_of_ipv6_is_its_network() {
        let places = Places::new(Caps { all: 9, per_address: 2 });
        let _held = ["2001:db8::1", "2001:db8::ffff:1"].map(|address| take(&places, address).unwrap());
        assert!(take(&places, "2001:db8::2").is_none());
        assert!(take(&places, "2001:db8:0:1::2").is_some());
    }

    #[test]
    fn there_are_no_more_places_than_descriptors_for_them() {
        let caps = Caps { all: 100, per_address: 50 };
        assert_eq!(caps.within(232), caps);
        assert_eq!(caps.within(231).all, 99);
        assert_eq!(caps.within(0).all, 1);
        assert_eq!(caps.within(u64::MAX), caps);
    }
}
