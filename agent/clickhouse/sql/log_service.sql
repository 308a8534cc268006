if(ServiceName != '', ServiceName, {{attr "ResourceAttributes" .Workload}})
