({service:String} = '' OR ServiceName IN ({service:String}, {service_column:String}))
AND ({operation:String} = '' OR SpanName = {operation:String})
AND ({method:String} = '' OR {{attrIs "SpanAttributes" .HTTPMethod "method"}})
AND ({status_code:String} = '' OR {{attrIs "SpanAttributes" .HTTPStatus "status_code"}})
