package server

import "github.com/prometheus/client_golang/prometheus"

// peopleMetrics observes connections, and the record of what people do.
type peopleMetrics struct {
	reads       *prometheus.CounterVec // by outcome
	connections *prometheus.GaugeVec   // by listener
	turnedAway  *prometheus.CounterVec // by listener
}

func newPeopleMetrics(r *prometheus.Registry) *peopleMetrics {
	m := &peopleMetrics{
		reads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "daybook_reads_total",
			Help: "Reads by people: recorded at once, counted with one before, owed while the log does not append.",
		}, []string{"outcome"}),
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "daybook_connections", Help: "Open connections.",
		}, []string{"listener"}),
		turnedAway: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "daybook_connections_refused_total", Help: "Connections beyond a listener's max_connections.",
		}, []string{"listener"}),
	}
	r.MustRegister(m.reads, m.connections, m.turnedAway)
	return m
}
