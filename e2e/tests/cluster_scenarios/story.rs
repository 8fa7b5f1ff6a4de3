//! The walk of the demo, told to nobody.

use toolgate_e2e::cluster::{Error, Story, World, walk};

pub(crate) fn the_walk(world: &World<'_>, name: &str) -> Result<(), Error> {
    walk(&world.stage(name)?, &Story::silent())
}
