//! PURE: the Runner tunnel contract. No socket, clock, thread or unsafe.
