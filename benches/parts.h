/* The parts of the benchmark that this program measures. Each prints a table, and reports its rows and targets. */
#ifndef BENCH_PARTS_H
#define BENCH_PARTS_H

/* Requests on kept-alive connections, without and with TLS: requests.c. */
void run_trigger(unsigned rounds, double seconds);
void run_tls(unsigned rounds, double seconds);
/* The calls that need no network: offline.c. */
void run_signatures(unsigned rounds, double seconds);
/* The time of calls by the size of their argument or of the queue: growth.c. */
void run_growth(unsigned rounds, double seconds);
/* The time of publishing to a full queue by its length: overflow.c. */
void run_overflow(unsigned rounds, double seconds);
/* The requests that a host serves while the server is down: outage.c. */
void run_outage(unsigned rounds, double seconds);

#endif
