// Breaks: mesh-enrolment-below-routing
import '../routing/forwarder.ts';
