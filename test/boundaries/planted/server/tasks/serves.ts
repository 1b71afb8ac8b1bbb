// Breaks: fastify-at-the-http-edge
import 'fastify';
